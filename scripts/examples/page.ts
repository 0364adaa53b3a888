/** docs/examples.md as text: of the list of examples and of what each of them said last. */

import { type Chapter, chapters, groups, type Program } from "./entries.js";

/** What every example's last line begins with. */
export const SHOWED = "What it showed: ";

/** Pictures of the page, seen from docs/. */
export const pictureOf = (program: Program): string => `images/examples/${program.name}.svg`;
export const photoOf = (chapter: Chapter): string => `images/examples/gallery-${chapter.name}.jpg`;

/** The whole page; `said` has what each program showed, by its name. */
export function pageOf(said: Readonly<Record<string, string>>): string {
  const parts = [
    "# Examples in pictures",
    "Every program under `examples/` draws a picture and ends with one sentence that says what it showed. Pictures and sentences here are " +
      "those of one run each, made by `npm run docs:examples` on a machine with other work: seconds vary, and are fewer elsewhere.",
    ...groups.flatMap((group) => [
      `## ${group.title}`,
      ...group.programs.flatMap((program) => sectionOf(program, said[program.name])),
    ]),
    "## The gallery",
    "`npm start` opens it: a page in which all that follows runs in the browser, training in a Web Worker.",
    ...chapters.flatMap((chapter) => [
      `### ${chapter.title}`,
      `![${chapter.title}](${photoOf(chapter)})`,
      `${chapter.about} ([source](../${chapter.source}))`,
    ]),
  ];
  return `${parts.join("\n\n")}\n`;
}

function sectionOf(program: Program, said: string | undefined): string[] {
  return [
    `### ${program.title}`,
    `![${program.title}](${pictureOf(program)})`,
    program.about,
    `\`${program.command}\` ([source](../${program.source}))${said === undefined ? "" : " ends with:"}`,
    ...(said === undefined ? [] : [`> ${SHOWED}${said}`]),
  ];
}

/** What each program said when the page was written, by its name: the inverse of `pageOf`. */
export function saidOn(page: string): Record<string, string> {
  const sections = page.split(/^###? /m);
  return Object.fromEntries(
    groups.flatMap((group) =>
      group.programs.flatMap(({ name, title }) => {
        const section = sections.find((text) => text.startsWith(`${title}\n`)) ?? "";
        const found = section.split("\n").find((line) => line.startsWith(`> ${SHOWED}`));
        return found === undefined ? [] : [[name, found.slice(`> ${SHOWED}`.length)]];
      }),
    ),
  );
}
