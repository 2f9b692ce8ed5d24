package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	effectPrefix = "EFFECT_"
	// deliveriesShown is how many deliveries a list has unless it is asked for
	// more, deliveriesPage how many come at a time.
	deliveriesShown = 50
	deliveriesPage  = 200
)

// deliveryFlags are the flags of deliveries list.
type deliveryFlags struct {
	effects      []string
	connection   string
	verification string
	limit        int
}

func deliveriesList(c *operatorCaller) *cobra.Command {
	var f deliveryFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deliveries, newest first",
		Long: `List the deliveries of the project and environment, newest first, without their
content. All filters must hold. What wants a look: unmatched ones wait for a
verification, refused ones contradict a state, unreadable and unknown ones are
not what the adapter expects.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate deliveries list --effect unmatched,unreadable
  verigate deliveries list --verification 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --json
  verigate deliveries list --connection aiprise-live --limit 0 --config verigate.yaml --project acme --environment live`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request()
			if err != nil {
				return err
			}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				found, err := f.pages(ctx, o, request)
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, found)
				}
				return c.printDeliveries(found, f.limit)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.effects, "effect", nil, "only these effects: "+strings.Join(effectNames(), ", ")+"; repeatable or separated by commas")
	flags.StringVar(&f.connection, "connection", "", "only what came in on this connection")
	flags.StringVar(&f.verification, "verification", "", "only what was settled on this verification's id")
	flags.IntVar(&f.limit, "limit", deliveriesShown, "how many at most; 0 for all")
	complete(cmd, "effect", effectNames()...)
	return c.prepareOperator(cmd)
}

// request turns the flags into a request, or says which flag is wrong.
func (f *deliveryFlags) request() (*verigatev1.ListDeliveriesRequest, error) {
	if f.limit < 0 {
		return nil, usageError("--limit: must not be negative; 0 means all")
	}
	r := &verigatev1.ListDeliveriesRequest{Connection: f.connection, VerificationId: f.verification}
	for _, name := range f.effects {
		if !slices.Contains(effectNames(), name) {
			return nil, usageError("--effect: %q is no effect; the effects are %s", printable(name), strings.Join(effectNames(), ", "))
		}
		number := verigatev1.Effect_value[effectPrefix+strings.ToUpper(name)]
		r.Effects = append(r.Effects, verigatev1.Effect(number))
	}
	return r, nil
}

// pages gets as many pages as the limit needs.
func (f *deliveryFlags) pages(ctx context.Context, o *operatorClient, r *verigatev1.ListDeliveriesRequest) (*verigatev1.ListDeliveriesResponse, error) {
	found := &verigatev1.ListDeliveriesResponse{}
	for {
		r.PageSize = deliveriesPage
		if f.limit > 0 {
			r.PageSize = int32(min(f.limit-len(found.GetDeliveries()), deliveriesPage))
		}
		page, err := o.ListDeliveries(ctx, r)
		if err != nil {
			return nil, err
		}
		found.Deliveries = append(found.Deliveries, page.GetDeliveries()...)
		found.NextPageToken = page.GetNextPageToken()
		if found.GetNextPageToken() == "" || len(found.GetDeliveries()) == f.limit {
			return found, nil
		}
		r.PageToken = found.GetNextPageToken()
	}
}

func (c *operatorCaller) printDeliveries(found *verigatev1.ListDeliveriesResponse, limit int) error {
	if len(found.GetDeliveries()) == 0 {
		_, err := fmt.Fprintln(c.std.Err, "no deliveries match")
		return err
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tRECEIVED\tCONNECTION\tEFFECT\tKIND\tPROVIDER SAID\tVERIFICATION")
	for _, d := range found.GetDeliveries() {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(d.GetId()), moment(d.GetReceiveTime(), c.zone),
			printable(d.GetConnection()), effectName(d.GetEffect()), kindName(d.GetKind()),
			printable(providerSaid(d)), printable(d.GetVerificationId()))
	}
	if err := table.Flush(); err != nil || found.GetNextPageToken() == "" {
		return err
	}
	_, err := fmt.Fprintf(c.std.Err, "\nthere are more: --limit %d\n", limit+deliveriesShown)
	return err
}

// providerSaid is what happened in the provider's own words.
func providerSaid(d *verigatev1.Delivery) string {
	return strings.TrimSpace(d.GetProviderEvent() + " " + d.GetProviderStatus())
}

func effectName(e verigatev1.Effect) string { return plainName(e.String(), effectPrefix) }

// effectNames lists the effects in the order of the contract.
func effectNames() []string {
	values := verigatev1.Effect(0).Descriptor().Values()
	names := make([]string, 0, values.Len())
	for i := range values.Len() {
		if name := plainName(string(values.Get(i).Name()), effectPrefix); name != "" {
			names = append(names, name)
		}
	}
	return names
}
