"use strict";
// The reader's own time beside each UTC time; everything opens for print and closes again.
(() => {
  const zone = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" };
  const same = new Date().getTimezoneOffset() === 0;
  for (const time of same ? [] : document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const own = document.createElement("span");
    own.className = "own";
    own.textContent = ` (${at.toLocaleString(undefined, zone)})`;
    time.after(own);
  }
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) {
      one.open = true;
      opened.push(one);
    }
  });
  addEventListener("afterprint", () => {
    for (const one of opened.splice(0)) one.open = false;
  });
})();
