// Runs before anything is drawn, so that the page does not flash in the wrong colours.
"use strict";
const THEMES = ["auto", "light", "dark"];

function chosenTheme() {
  try {
    const theme = localStorage.getItem("theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // storage is switched off
  }
}

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  if (button) button.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[theme];
}

showTheme(chosenTheme());
addEventListener("DOMContentLoaded", () => {
  showTheme(chosenTheme());
  document.getElementById("theme")?.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    try {
      localStorage.setItem("theme", next);
    } catch {
      // then it lasts until the page is loaded again
    }
    showTheme(next);
  });
});
