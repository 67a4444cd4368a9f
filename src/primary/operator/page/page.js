fetch('status')
  .then((it) => it.text())
  .then((it) => {
    document.getElementById('status').textContent = it;
  });
