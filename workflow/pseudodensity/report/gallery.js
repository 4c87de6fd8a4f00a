// Sorts the table by the column whose heading is pressed; empty cells stay last.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const falling = head.getAttribute("aria-sort") === "ascending";
    const value = (row) => row.cells[head.cellIndex].textContent.trim();
    const order = new Intl.Collator(undefined, { numeric: head.className !== "number" });
    const compare = (a, b) =>
      head.className === "number" ? Number(a) - Number(b) : order.compare(a, b);
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (!x || !y) return Number(!x) - Number(!y);
      return falling ? compare(y, x) : compare(x, y);
    });
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.append(...rows);
  });
}
