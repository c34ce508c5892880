// Later changes, fetched once a second if `pydatatracker view` serves the page.

const PATIENCE = 1000; // milliseconds

// grow(part) is called with new changes, status(text) with the state of the connection.
export function follow(log, grow, status) {
  let wait = PATIENCE;
  const ask = async () => {
    try {
      if (!document.hidden) {
        const known = [log.generation, ...log.sizes()].join(".");
        const answer = await fetch(`changes?known=${known}`, { cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const part = await answer.json();
        wait = PATIENCE;
        status("following");
        if (part !== null) grow(part);
      }
    } catch {
      status("not connected");
      wait = Math.min(wait * 2, 30_000);
    }
    setTimeout(ask, wait);
  };
  setTimeout(ask, wait);
}
