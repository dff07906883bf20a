const form = document.getElementById("login");
const problem = document.getElementById("problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  try {
    const answer = await fetch("/login", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (answer.ok) {
      location.replace("/");
      return;
    }
    problem.textContent = capitalised((await answer.json()).error) + ".";
  } catch {
    problem.textContent = "StreamDehaze does not answer.";
  }
  form.token.select();
});

const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1);
