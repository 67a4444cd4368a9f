'use strict';

// A terminal to draw on, which is left as it was, however this process ends.

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_Z = '\x1a';
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The alternate screen of the terminal, with the keys that end it. */
class Screen {
  #output = process.stdout;
  #input = process.stdin.isTTY ? process.stdin : undefined;
  #onEnd;
  #onResize;
  #isOn = false;
  #listeners;

  /**
   * @param {object} on
   * @param {() => void} on.end is called for q and Ctrl-C, and for signals that end a process
   * @param {() => void} on.resize is called when the terminal has another size, or this process runs again
   */
  constructor({ end, resize }) {
    this.#onEnd = end;
    this.#onResize = resize;
    this.#listeners = {
      ...Object.fromEntries(ENDING_SIGNALS.map((name) => [name, () => this.#onEnd()])),
      SIGWINCH: () => this.#onResize(),
      SIGCONT: () => this.#resume(),
      exit: () => this.#leave(),
    };
  }

  open() {
    for (const [name, listener] of Object.entries(this.#listeners)) process.on(name, listener);
    this.#input?.on('data', (keys) => this.#onKeys(`${keys}`)).resume();
    this.#enter();
  }

  /** Draws lines in place of those before, as many as there is room for. */
  draw(lines) {
    if (!this.#isOn) return;
    const shown = lines
      .join('\n')
      .split('\n')
      .slice(0, (this.#output.rows || 24) - 1);
    this.#output.write(
      `${HOME}${shown.map((line) => `${line}${CLEAR_LINE}`).join('\n')}\n${CLEAR_BELOW}`,
    );
  }

  close() {
    for (const [name, listener] of Object.entries(this.#listeners)) {
      process.removeListener(name, listener);
    }
    this.#input?.pause();
    this.#leave();
  }

  #enter() {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#input?.setRawMode(true);
    this.#output.write(ENTER);
  }

  #leave() {
    if (!this.#isOn) return;
    this.#isOn = false;
    try {
      this.#input?.setRawMode(false);
      this.#output.write(LEAVE);
    } catch {
      // The terminal is gone.
    }
  }

  #onKeys(keys) {
    if (/[qQ]/.test(keys) || keys.includes(CTRL_C) || keys.includes(CTRL_D)) this.#onEnd();
    else if (keys.includes(CTRL_Z)) this.#suspend();
  }

  #suspend() {
    this.#leave();
    process.kill(0, 'SIGTSTP');
  }

  #resume() {
    this.#enter();
    this.#onResize();
  }
}

module.exports = Screen;
