"use strict";
// The kiosk's voice: the browser reads aloud what the agent says of an order,
// once for each change. Without a voice of the page's language it is silent.
(function () {
  const pay = window.pay;
  const synth = window.speechSynthesis;
  const fresh = 3000; // voices come late; what is older is not said any more

  let spoken = "";    // what was said last: order and words
  let waiting = null; // said as soon as there is a voice

  function muted() { return pay.setting("voice") === "off"; }

  // voice picks one of the page's language, of the mainland first.
  function voice() {
    const want = pay.getLang() === "en" ? "en" : "zh";
    const list = synth.getVoices().filter(function (v) { return String(v.lang).toLowerCase().indexOf(want) === 0; });
    return list.find(function (v) { return /^zh[-_]cn/i.test(v.lang); }) || list[0] || null;
  }

  function utter() {
    const v = waiting && performance.now() - waiting.at < fresh ? voice() : null;
    if (!v) { return; }
    const u = new window.SpeechSynthesisUtterance(waiting.text);
    u.voice = v;
    u.lang = v.lang;
    waiting = null;
    synth.cancel();
    synth.speak(u);
  }

  // speak says what the agent says of an order, nothing for the second time.
  function speak(number, speech) {
    const key = speech ? number + "|" + speech.zh : "";
    if (!synth || !key || key === spoken) { return; }
    spoken = key;
    waiting = muted() ? null : { text: pay.say(speech), at: performance.now() };
    utter();
  }

  function draw() {
    const b = pay.el("voice");
    b.hidden = !synth;
    b.setAttribute("aria-pressed", muted() ? "false" : "true");
    b.setAttribute("aria-label", pay.word(muted() ? "kVoiceOn" : "kVoiceOff"));
    b.title = b.getAttribute("aria-label");
  }

  function toggle() {
    pay.remember("voice", muted() ? "on" : "off");
    waiting = null;
    if (synth && muted()) { synth.cancel(); }
    draw();
  }

  pay.el("voice").addEventListener("click", toggle);
  if (synth) { synth.addEventListener("voiceschanged", utter); }
  window.payVoice = { speak: speak, draw: draw };
})();
