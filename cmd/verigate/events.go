package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// eventsFlags are the flags of events.
type eventsFlags struct {
	follow bool
	after  string
	flows  []string
	kinds  []string
	limit  int
}

func eventsCommand(c *caller) *cobra.Command {
	var f eventsFlags
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what happened, event by event, and follow what happens",
		Long: `Print the events of the key's project and environment, oldest first: one for each
change of a verification's state. Without --follow the command ends with the
newest. With --follow it goes on with what happens, reconnects by itself, and
ends with --limit or Ctrl-C.

A cursor is a place in the order of events. Reading on from it with --after
misses nothing. With --json each line holds an event and a cursor to go on from:
with --follow just after that event; without, the cursor moves at the end of each
page of up to 200 events, and is exact on the last line.

` + exitHelp,
		Example: `  verigate events
  verigate events --follow --after now
  verigate events --flow identity --kind passed,rejected --json
  verigate events --follow --after "$(cat cursor)" --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.events(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.follow, "follow", false, "go on with what happens")
	flags.StringVar(&f.after, "after", "", "begin after this cursor, or `now` (default: the oldest event that is kept)")
	flags.StringSliceVar(&f.flows, "flow", nil, "only these flows; repeatable or separated by commas")
	flags.StringSliceVar(&f.kinds, "kind", nil, "only these kinds, such as passed; repeatable or separated by commas")
	flags.IntVar(&f.limit, "limit", 0, "end after so many events (default: no limit)")
	complete(cmd, "kind", kindNames()...)
	completeFlows(cmd)
	return c.prepare(cmd)
}

// filter turns the flags into a filter, or says which flag is wrong.
func (f *eventsFlags) filter() (*verigatev1.EventFilter, error) {
	if f.limit < 0 {
		return nil, usageError("--limit: must not be negative; leave it out for no limit")
	}
	filter := &verigatev1.EventFilter{Flows: f.flows}
	for _, name := range f.kinds {
		if !slices.Contains(kindNames(), name) {
			return nil, usageError("--kind: %q is no kind; the kinds are %s", printable(name), strings.Join(kindNames(), ", "))
		}
		number := verigatev1.EventKind_value[kindPrefix+strings.ToUpper(name)]
		filter.Kinds = append(filter.Kinds, verigatev1.EventKind(number))
	}
	return filter, nil
}

func (c *caller) events(cmd *cobra.Command, f *eventsFlags) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	api := verigatev1connect.NewEventServiceClient(g.api)
	if f.follow {
		return c.followEvents(cmd.Context(), api, f, filter)
	}
	return c.eventPages(cmd.Context(), api, f, filter)
}

// maxEventPage is the largest page that the contract allows.
const maxEventPage = 200

// eventPages prints pages until there is no more.
func (c *caller) eventPages(ctx context.Context, api verigatev1connect.EventServiceClient, f *eventsFlags, filter *verigatev1.EventFilter) error {
	request := &verigatev1.ListEventsRequest{AfterCursor: f.after, Filter: filter, PageSize: maxEventPage}
	for printed := 0; ; {
		if f.limit > 0 {
			request.PageSize = int32(min(maxEventPage, f.limit-printed))
		}
		page, err := eventPage(ctx, api, request)
		if err != nil {
			return err
		}
		if err := c.printPage(page, request.GetAfterCursor()); err != nil {
			return err
		}
		printed += len(page.GetEvents())
		request.AfterCursor = page.GetCursor()
		if !page.GetMore() || (f.limit > 0 && printed >= f.limit) {
			return c.endPages(printed, page, f)
		}
	}
}

func eventPage(ctx context.Context, api verigatev1connect.EventServiceClient, r *verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return api.ListEvents(ctx, r)
}

// printPage prints a page that began after a cursor. Within it there is no other
// cursor to go on from: whoever does gets some of the page again, and misses
// nothing.
func (c *caller) printPage(page *verigatev1.ListEventsResponse, began string) error {
	for i, event := range page.GetEvents() {
		cursor := began
		if i == len(page.GetEvents())-1 {
			cursor = page.GetCursor()
		}
		if err := c.printEvent(event, cursor); err != nil {
			return err
		}
	}
	return nil
}

// endPages tells a person where to go on.
func (c *caller) endPages(printed int, last *verigatev1.ListEventsResponse, f *eventsFlags) error {
	if c.asJSON {
		return nil
	}
	if printed == 0 {
		if _, err := fmt.Fprintln(c.std.Err, "no events match"); err != nil {
			return err
		}
	}
	if last.GetCursor() == "" {
		return nil
	}
	what := "later: "
	if last.GetMore() {
		what = "more: "
	}
	_, err := fmt.Fprintln(c.std.Err, what+f.again(last.GetCursor()))
	return err
}

// again is the command that goes on after a cursor.
func (f *eventsFlags) again(cursor string) string {
	words := []string{"verigate", "events"}
	if f.follow {
		words = append(words, "--follow")
	}
	add := func(flag string, values []string) {
		if len(values) > 0 {
			words = append(words, "--"+flag, shellWord(printable(strings.Join(values, ","))))
		}
	}
	add("flow", f.flows)
	add("kind", f.kinds)
	add("after", []string{cursor})
	return strings.Join(words, " ")
}

// Widths of the columns of an event's line, as wide as the longest word.
const (
	flowWidth  = 12
	stateWidth = 10
	kindWidth  = 22
	sourceWide = 8
)

// printEvent prints one event in one line.
func (c *caller) printEvent(e *verigatev1.Event, cursor string) error {
	if c.asJSON {
		return writeEventJSON(c.std.Out, e, cursor)
	}
	before := stateName(e.GetPreviousState())
	if before == "" {
		before = "-"
	}
	line := fmt.Sprintf("%s  %-*s  %s  v%-2d  %*s → %-*s  %-*s  %-*s  %s",
		e.GetCreateTime().AsTime().In(c.zone).Format(time.DateTime), flowWidth, e.GetFlow(), e.GetVerificationId(), e.GetVersion(),
		stateWidth, before, stateWidth, stateName(e.GetState()), kindWidth, kindName(e.GetKind()),
		sourceWide, plainName(e.GetSource().String(), sourcePrefix), strings.Join(e.GetReasonCodes(), ", "))
	_, err := fmt.Fprintln(c.std.Out, strings.TrimRight(printable(line), " "))
	return err
}

// writeEventJSON prints an event and where to go on as one line of JSON.
func writeEventJSON(w io.Writer, e *verigatev1.Event, cursor string) error {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the event as JSON: %w", err)
	}
	return printJSON(w, eventLine{Event: text, Cursor: cursor})
}

const (
	kindPrefix   = "EVENT_KIND_"
	sourcePrefix = "EVENT_SOURCE_"
)

// kindName is a kind in the words of the documentation: person_returned.
func kindName(k verigatev1.EventKind) string { return plainName(k.String(), kindPrefix) }

// kindNames lists the kinds that the stream can carry: what is only noted moves
// nothing, and is in timelines alone.
func kindNames() []string {
	values := verigatev1.EventKind(0).Descriptor().Values()
	names := make([]string, 0, values.Len())
	for i := range values.Len() {
		value := values.Get(i)
		name := plainName(string(value.Name()), kindPrefix)
		if name != "" && verigatev1.EventKind(value.Number()) != verigatev1.EventKind_EVENT_KIND_NOTED {
			names = append(names, name)
		}
	}
	return names
}
