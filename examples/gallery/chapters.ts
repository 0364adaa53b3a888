/** The list of chapters at the head of the page: one link for every section of class "chapter" that is not hidden. */

import { byId } from "./view.js";

/** To be called again when a chapter comes out of hiding. */
export function showChapters(): void {
  const chapters = [...document.querySelectorAll<HTMLElement>(".chapter:not([hidden])")];
  byId("chapters").replaceChildren(
    ...chapters.flatMap((chapter) => {
      const title = chapter.querySelector("h2");
      if (title === null) return [];
      const link = document.createElement("a");
      link.href = `#${chapter.id}`;
      link.textContent = title.dataset.short ?? title.textContent;
      return [link];
    }),
  );
}
