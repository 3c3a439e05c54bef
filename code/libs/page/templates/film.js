"use strict";
{
  const film = document.getElementById("film"), strip = document.getElementById("strip");
  const time = document.getElementById("time"), play = document.getElementById("play");
  const frames = Number(film.dataset.frames), steps = Number(film.dataset.steps);
  const samples = Number(film.dataset.samples);
  const canvases = [...film.querySelectorAll("canvas")];
  let timer = null;

  const show = () => {
    const frame = Number(time.value);
    const width = strip.naturalWidth / samples, height = strip.naturalHeight / frames;
    canvases.forEach((canvas, i) => {
      const side = 2 * (canvas.clientWidth || 96);
      canvas.width = side;
      canvas.height = side * height / width;
      const pen = canvas.getContext("2d");
      pen.imageSmoothingQuality = "high";
      pen.drawImage(strip, i * width, frame * height, width, height, 0, 0, canvas.width, canvas.height);
    });
    const left = Math.round(steps * (1 - frame / Math.max(1, frames - 1)));
    document.getElementById("step").value = `${left} of ${steps} steps left`;
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const start = () => {
    if (Number(time.value) === frames - 1) time.value = 0;
    show();
    play.textContent = "Pause";
    timer = setInterval(() => {
      time.value = Number(time.value) + 1;
      show();
      if (Number(time.value) === frames - 1) stop();
    }, 80);
  };
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  time.addEventListener("input", () => { stop(); show(); });
  addEventListener("resize", show);
  strip.decode().then(show);
}
