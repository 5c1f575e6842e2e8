// What pages do where scripts are allowed. Everything is there without it: plots as pictures, numbers as tables.
"use strict";
(() => {
  const DAY = 86400;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function marks(dates) {
    return {
      hooks: {
        draw: (plot) => {
          const { ctx, bbox } = plot;
          ctx.save();
          ctx.strokeStyle = colour("--mark");
          ctx.setLineDash([4, 4]);
          ctx.lineWidth = devicePixelRatio;
          for (const [day] of dates) {
            const x = Math.round(plot.valToPos(day * DAY, "x", true));
            if (x < bbox.left || x > bbox.left + bbox.width) continue;
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        },
      },
    };
  }

  function draw(place) {
    const days = place.dataset.days.split(",").map((day) => Number(day) * DAY);
    const values = place.dataset.values.split(",").map((value) => (value === "" ? null : Number(value)));
    if (days.length < 2 || typeof uPlot === "undefined") return;
    const picture = place.firstElementChild;
    const said = picture.querySelector("desc").textContent;
    const dates = JSON.parse(place.dataset.dates || "[]");
    let plot = null;
    const show = () => {
      if (plot) plot.destroy();
      place.replaceChildren();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
      plot = new uPlot({
        width: Math.max(280, place.clientWidth),
        height: 240,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        plugins: [marks(dates)],
        scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.05)] } },
        series: [
          { value: (_plot, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(0, 10)), label: "Day" },
          { label: "Devices", stroke: colour("--bar"), width: 2, fill: colour("--bar") + "33", points: { show: days.length < 100 },
            value: (_plot, value) => (value === null ? "unknown" : value.toLocaleString("en")) },
        ],
        axes: [{ ...axis, space: 60, values: (_plot, ticks) => ticks.map((at) => new Date(at * 1000).toISOString().slice(5, 10)) }, { ...axis, size: 60, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6] }],
      }, [days, values], place);
      const canvas = place.querySelector("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "Devices seen by day. " + said);
    };
    show();
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(place.clientWidth - width) > 2) {
        width = place.clientWidth;
        show();
      }
    }).observe(place.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  }

  // Following the newest attempts: each that the server tells of has the page's own table asked for again, so that it is the
  // same for everybody, and at most once a second.
  function follow(place) {
    const [button, state] = [place.querySelector("button"), place.querySelector("[role=status]")];
    let source = null, timer = null;
    const again = async () => {
      timer = null;
      try {
        const answer = await fetch(location.href, { credentials: "same-origin" });
        if (!answer.ok) throw new Error(String(answer.status));
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("#attempts tbody");
        if (fresh) document.querySelector("#attempts tbody").replaceWith(document.adoptNode(fresh));
        state.textContent = "As of " + new Date().toISOString().slice(11, 19) + "Z.";
      } catch (error) {
        state.textContent = "The server does not answer; trying again.";
      }
    };
    const soon = () => { if (timer === null) timer = setTimeout(again, 1000); };
    button.addEventListener("click", () => {
      const on = source === null;
      button.setAttribute("aria-pressed", String(on));
      button.textContent = on ? "Stop following" : "Follow live";
      state.textContent = on ? "Following." : "";
      if (!on) {
        source.close();
        source = null;
        clearTimeout(timer);
        timer = null;
        return;
      }
      source = new EventSource(place.dataset.live);
      source.onmessage = soon;
      source.addEventListener("attempt", soon);
      source.onerror = () => { state.textContent = "The server does not answer; trying again."; };
      soon();
    });
    if (!new URLSearchParams(location.search).has("after")) place.hidden = false;
  }

  document.querySelectorAll(".plot").forEach(draw);
  document.querySelectorAll("[data-live]").forEach(follow);
})();
