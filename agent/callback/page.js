(function () {
  var b = document.body, rev = b.getAttribute('data-rev'), path = b.getAttribute('data-path');
  var leads = b.getAttribute('data-leads') === 'true';
  function put(id, text) {
    var e = document.getElementById(id);
    if (e) { e.textContent = text; }
  }
  function go(to) {
    if (leads && /^https?:\/\//.test(to)) { window.location.replace(to); return true; }
    return false;
  }
  function show(v) {
    rev = v.rev;
    b.className = v.look;
    document.title = v.title.zh;
    put('zh', v.title.zh);
    put('en', v.title.en);
    put('sayzh', v.say.zh);
    put('sayen', v.say.en);
  }
  function ask() {
    var x = new XMLHttpRequest();
    x.open('GET', path + '?rev=' + rev + (leads ? '&leads=1' : ''), true);
    x.onreadystatechange = function () {
      var v = null;
      if (x.readyState !== 4) { return; }
      if (x.status === 200) {
        try { v = JSON.parse(x.responseText); } catch (e) { v = null; }
      }
      if (v) { show(v); }
      if (v && go(v.goto || '')) { return; }
      if (!v || !v.final) { setTimeout(ask, v ? 300 : 3000); }
    };
    x.send(null);
  }
  if (go(b.getAttribute('data-goto') || '')) { return; }
  if (path && b.getAttribute('data-final') !== 'true') { ask(); }
})();
