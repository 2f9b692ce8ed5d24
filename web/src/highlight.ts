/**
 * Colours for the code on the page: comments, texts and the words of the three
 * languages. It reads just enough for short programs and changes no letter.
 */

/** A piece of a program. */
export interface Piece {
  readonly kind: "plain" | "comment" | "text" | "word";
  readonly text: string;
}

const words = new Set(
  (
    "as async await break case catch class const continue data default defer else error export fun func for from go if " +
    "import in interface let new nil null object of override package private range return runBlocking struct suspend " +
    "switch throw try type undefined val var when while"
  ).split(" "),
);

const patterns = {
  "//": /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<text>"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])*')|(?<word>\b[A-Za-z]+\b)/g,
  "#": /(?<comment>(?<=^|\s)#[^\n]*)|(?<text>"(?:\\.|[^"\\])*"|'[^']*')|(?<word>\bcurl\b|\bprintf\b)/g,
} as const;

/** Cuts a program into pieces; together they are the program. */
export function highlighted(program: string, comment: keyof typeof patterns): readonly Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of program.matchAll(patterns[comment])) {
    const kind = kindOf(match, comment);
    if (kind === undefined) {
      continue;
    }
    pieces.push({ kind: "plain", text: program.slice(end, match.index) }, { kind, text: match[0] });
    end = match.index + match[0].length;
  }
  pieces.push({ kind: "plain", text: program.slice(end) });
  return pieces.filter(({ text }) => text !== "");
}

function kindOf({ groups, 0: found }: RegExpExecArray, comment: keyof typeof patterns): Piece["kind"] | undefined {
  if (groups?.["comment"] !== undefined) {
    return "comment";
  }
  if (groups?.["text"] !== undefined) {
    return "text";
  }
  return comment === "#" || words.has(found) ? "word" : undefined;
}
