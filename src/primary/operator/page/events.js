'use strict';

/** The last events, newest first. */
class EventList {
  #list = byId('events');
  #shown = '';
  #times = [];

  update(events, now) {
    const key = JSON.stringify([events.length, events.at(-1), events[0]?.time]);
    if (key !== this.#shown) this.#replace(events);
    this.#shown = key;
    for (const { at, element: it } of this.#times) setText(it, ago(now - at));
  }

  #replace(events) {
    this.#times = [];
    const items = withoutRepeats(events)
      .reverse()
      .map((event) => this.#item(event));
    if (items.length === 0) items.push(element('li', { class: 'nothing' }, 'Nothing yet.'));
    this.#list.replaceChildren(...items);
  }

  #item(event) {
    const look = eventLook(event);
    const when = new Date(event.time);
    const moment = element('time', { title: when.toLocaleString() });
    if (!Number.isNaN(when.getTime())) moment.dateTime = when.toISOString();
    this.#times.push({ at: event.time, element: moment });
    const picture = shape();
    setShape(picture, look.shape);
    const text = element('span', {}, look.text);
    return element('li', { 'data-tone': look.tone }, moment, picture, text);
  }
}
