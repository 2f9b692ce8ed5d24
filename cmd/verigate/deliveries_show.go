package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func deliveriesShow(c *operatorCaller) *cobra.Command {
	content := false
	cmd := &cobra.Command{
		Use:   "show <id>",
		Short: "Show a delivery, and what is in it if asked",
		Long: `Show a delivery. With --content also the headers that were kept and the body, byte
for byte as the provider sent it: that may be personal, and is in the audit log.
It lies sealed, so --content needs a running gateway, which has the keys.

With --json and --content the body is in base64, as "body", and again as
"bodyText" if it is UTF-8.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate deliveries show 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate deliveries show 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --content`,
		Args: oneDelivery,
		RunE: func(cmd *cobra.Command, args []string) error {
			if content {
				if err := c.wantsGateway("--content", "opens what lies sealed"); err != nil {
					return err
				}
			}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				found, err := o.GetDelivery(ctx, &verigatev1.GetDeliveryRequest{Id: args[0], WithContent: content})
				if err != nil {
					return err
				}
				switch {
				case c.asJSON && content:
					return c.writeContent(found)
				case c.asJSON:
					return writeJSON(c.std.Out, found)
				}
				if err := c.printDelivery(found.GetDelivery(), found.GetBoundVerificationIds()...); err != nil || !content {
					return err
				}
				return c.printContent(found)
			})
		},
	}
	cmd.Flags().BoolVar(&content, "content", false, "open what the provider sent; it may be personal, and this is in the audit log")
	return c.prepareOperator(cmd)
}

// wantsGateway refuses the way over the database for what only a running gateway
// can do.
func (c *operatorCaller) wantsGateway(what, does string) error {
	if c.project == "" && c.environment == "" {
		return nil
	}
	return usageError("%s: %s, which needs the keys and adapters of a running gateway\n"+
		"Name its operator listener with --url, instead of --project and --environment.", what, does)
}

// oneDelivery is the argument check of commands that take a delivery's id.
func oneDelivery(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError("give one delivery's id: `%s <id>`; `verigate deliveries list` shows ids", cmd.CommandPath())
	}
	return nil
}

// printDelivery shows a delivery; owners are the verifications that its provider
// refs are bound to.
func (c *operatorCaller) printDelivery(d *verigatev1.Delivery, owners ...string) error {
	purged := ""
	if d.GetPurged() {
		purged = "yes"
	}
	return writePairs(c.std.Out, [][2]string{
		{"id", d.GetId()},
		{"connection", d.GetConnection()},
		{"received", moment(d.GetReceiveTime(), c.zone)},
		{"effect", effectName(d.GetEffect())},
		{"settled", moment(d.GetApplyTime(), c.zone)},
		{"verification", d.GetVerificationId()},
		{"kind", kindName(d.GetKind())},
		{"product", d.GetProduct()},
		{"reasons", strings.Join(d.GetReasonCodes(), ", ")},
		{"provider event", d.GetProviderEvent()},
		{"provider status", d.GetProviderStatus()},
		{"provider refs", strings.Join(d.GetProviderRefs(), ", ")},
		{"its refs belong to", strings.Join(owners, ", ")},
		{"it names", d.GetNamedVerificationId()},
		{"purged", purged},
	})
}

// printContent prints the body as it is, so that it can be compared; headers
// are made safe for a terminal.
func (c *operatorCaller) printContent(found *verigatev1.GetDeliveryResponse) error {
	if found.GetDelivery().GetPurged() {
		_, err := fmt.Fprintln(c.std.Err, "its content was removed")
		return err
	}
	pairs := make([][2]string, 0, len(found.GetHeaders()))
	for _, name := range sortedKeys(found.GetHeaders()) {
		pairs = append(pairs, [2]string{"header " + printable(name), found.GetHeaders()[name]})
	}
	if err := writePairs(c.std.Out, pairs); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.std.Out, "\n%d bytes, as the provider sent them; they may be personal, and this look is in the audit log:\n\n",
		len(found.GetBody())); err != nil {
		return err
	}
	body := found.GetBody()
	if !bytes.HasSuffix(body, []byte("\n")) {
		body = append(body, '\n')
	}
	_, err := c.std.Out.Write(body)
	return err
}

// writeContent is writeJSON with the body as text beside its bytes.
func (c *operatorCaller) writeContent(found *verigatev1.GetDeliveryResponse) error {
	var line bytes.Buffer
	if err := writeJSON(&line, found); err != nil {
		return err
	}
	if !utf8.Valid(found.GetBody()) {
		_, err := line.WriteTo(c.std.Out)
		return err
	}
	var answer map[string]any
	decoder := json.NewDecoder(&line)
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		return fmt.Errorf("encode the answer as JSON: %w", err)
	}
	answer["bodyText"] = string(found.GetBody())
	return printJSON(c.std.Out, answer)
}
