// A click on a header sorts the rows by its column: numbers by data-value, everything else as text.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const compare = (a, b) => a.dataset.value === undefined
    ? a.textContent.trim().localeCompare(b.textContent.trim(), undefined, {numeric: true})
    : a.dataset.value - b.dataset.value;
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const up = header.getAttribute("aria-sort") !== "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column]));
      body.append(...(up ? rows : rows.reverse()));
    });
  });
}
