#include "report/html_page.h"

namespace sparsify {

const char* const kPageScript = R"js(
"use strict";
(() => {
  const table = document.getElementById("layers");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent;

    // Rows without a number come last in either direction; equal rows stay in the order of the network.
    const sort = (column, direction) => {
      const numeric = heads[column].classList.contains("n");
      const sign = direction === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        const x = value(a, column), y = value(b, column);
        if (!numeric) return sign * x.localeCompare(y, undefined, {numeric: true});
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (Number(x) - Number(y));
      };
      body.append(...rows.map((row, place) => [row, place])
        .sort(([a, i], [b, j]) => compare(a, b) || i - j).map(([row]) => row));
      heads.forEach((head, i) => head.setAttribute("aria-sort", i === column ? direction : "none"));
    };
    const toggle = (column) => {
      const numeric = heads[column].classList.contains("n");
      const now = heads[column].getAttribute("aria-sort");
      sort(column, now === "descending" ? "ascending" : now === "ascending" ? "descending" : numeric ? "descending" : "ascending");
    };
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => toggle(column)));

    const box = document.getElementById("filter");
    const count = document.getElementById("count");
    const none = document.getElementById("none");
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const filter = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => texts.get(row).includes(word));
        shown += !row.hidden;
      }
      count.textContent = shown + " of " + rows.length;
      none.hidden = shown > 0;
    };
    box.addEventListener("input", filter);
    document.querySelector(".filter").hidden = false;
    filter();
    addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
      event.preventDefault();
      box.focus();
    });
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.of);
      let done = true;
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {  // a page opened as a file may be refused: select the text instead
        getSelection().selectAllChildren(source);
        done = false;
      }
      const label = button.textContent;
      button.textContent = done ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
})();
)js";

}  // namespace sparsify
