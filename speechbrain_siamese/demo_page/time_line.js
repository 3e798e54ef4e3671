// Plays the stretch that is clicked, up to its end.
let end = null;
const sound = () => element.querySelector("audio");
const stretches = () => [...element.querySelectorAll(".line button")].sort(
  (a, b) => a.dataset.number - b.dataset.number);

const play = button => {
  const audio = sound();
  const go = () => {
    audio.currentTime = +button.dataset.start;
    end = +button.dataset.end;
    audio.play();
  };
  if (audio.readyState) go();
  else {
    audio.addEventListener("loadedmetadata", go, {once: true});
    audio.load();
  }
};

const choose = button => {
  for (const one of stretches()) one.tabIndex = one === button ? 0 : -1;
};

element.addEventListener("click", event => {
  const button = event.target.closest("button[data-start]");
  if (!button) return;
  if (button.dataset.number !== undefined) choose(button);
  play(button);
});

element.addEventListener("keydown", event => {
  const all = stretches(), here = all.indexOf(event.target);
  if (here < 0) return;
  const to = {ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1,
    ArrowUp: here - 1, Home: 0, End: all.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (!all[to]) return;
  choose(all[to]);
  all[to].focus();
});

// These do not bubble: they are caught on their way down.
element.addEventListener("timeupdate", () => {
  const audio = sound(), now = audio.currentTime;
  if (end !== null && now >= end) {
    end = null;
    audio.pause();
  }
  for (const one of element.querySelectorAll("button[data-start]")) {
    const heard = !audio.paused && now >= +one.dataset.start && now < +one.dataset.end;
    one.classList.toggle("heard", heard);
  }
}, true);
// Whoever uses the player's own knobs wants to hear all from there.
for (const kind of ["pointerdown", "keydown"]) {
  element.addEventListener(kind, event => {
    if (event.target.closest("audio")) end = null;
  }, true);
}
