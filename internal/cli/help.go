package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Widths of help, in columns: of a line, and of what stands before a flag's help.
const (
	lineWidth = 80
	nameWidth = 26
)

// Help writes what the command does and its flags, grouped, with their defaults; all adds those without a short flag.
func (c *Command) Help(w io.Writer, all bool) error {
	var b bytes.Buffer
	for _, l := range wrap(c.Name+" "+c.Synopsis, lineWidth) {
		fmt.Fprintln(&b, l)
	}
	fmt.Fprintf(&b, "\nUsage: %s\n", strings.TrimSpace(c.Name+" [flags] "+c.Args))
	if about := strings.TrimSpace(c.About); about != "" {
		fmt.Fprintf(&b, "\n%s\n", about)
	}
	hidden := false
	for _, group := range c.groups() {
		begun := false
		for _, f := range c.flags {
			if f.Group != group {
				continue
			}
			if f.Flag == "" && !all {
				hidden = true
				continue
			}
			if !begun {
				fmt.Fprintf(&b, "\n%s:\n", group)
				begun = true
			}
			f.describe(&b)
		}
	}
	fmt.Fprintf(&b, "\nHelp:\n")
	if hidden || all {
		line(&b, "--help, -h", "the flags that matter most")
		line(&b, "--help-all", "every flag")
	} else {
		line(&b, "--help, -h", "this text")
	}
	if len(c.Examples) > 0 {
		fmt.Fprintf(&b, "\nExamples:\n")
		for _, e := range c.Examples {
			fmt.Fprintf(&b, "  # %s\n  %s\n", e.For, e.Line)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// describe writes the entry of one flag.
func (f *entry) describe(b *bytes.Buffer) {
	name := f.Flag
	if name == "" {
		name = f.Path
	}
	text := f.Help
	switch {
	case f.initial == "" || f.IsBool() && f.initial == "false":
	default:
		text += " (default " + f.initial + ")"
	}
	line(b, strings.TrimSpace("--"+name+" "+f.Arg), strings.TrimSpace(text))
}

// line writes a name and, beside it, or below it if it is long, a text in as many lines as it needs.
func line(b *bytes.Buffer, name, text string) {
	head := "  " + name
	lines := wrap(text, lineWidth-nameWidth)
	if utf8.RuneCountInString(head)+2 > nameWidth {
		fmt.Fprintln(b, head)
		head = ""
	}
	for _, line := range lines {
		pad := nameWidth - utf8.RuneCountInString(head)
		fmt.Fprintf(b, "%s%s%s\n", head, strings.Repeat(" ", pad), line)
		head = ""
	}
	if len(lines) == 0 && head != "" {
		fmt.Fprintln(b, head)
	}
}

// wrap breaks a text into lines of at most width columns, between words.
func wrap(text string, width int) []string {
	var lines []string
	var line string
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
