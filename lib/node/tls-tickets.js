'use strict';

// The session tickets of Node's TLS servers (lib/internal/tls/wrap.js, src/crypto/crypto_context.cc): all servers of a
// worker make and take them by the keys of the engine, unless the program has keys of its own.

const net = require('node:net');
const { getSharedData, isTls, setSharedData } = require('./servers.js');

/** Gives a worker's TLS servers the engine's keys. Costs nothing until the program makes such a server. */
class TlsTickets {
  /** The keys, each 48 bytes, the current one first. */
  #keys = [];
  #callback;
  /** Servers that listen, as weak references. */
  #listening = new Set();
  /** By server: what distinguishes it from others with other clients; see `identityOf`. */
  #identities = new WeakMap();
  /** Servers for which the program has chosen the context of its sessions. */
  #withOwnContext = new WeakSet();
  /** Contexts for which the program has set keys. */
  #withOwnKeys = new WeakSet();
  /** Contexts that have the keys of the engine, or had them before the program set its own. */
  #contexts = new WeakSet();
  /** Whether there may be TLS servers, and what the program does with them is known. */
  #isFollowing = false;

  /** @param {() => void} ask asks the engine for its keys, once there is a TLS server */
  constructor(ask) {
    onFirstServer((prototype) => {
      this.#follow(prototype);
      ask();
    });
  }

  /** @param {string[]} keys in hexadecimal digits, the current one first */
  setKeys(keys) {
    this.#keys = keys.map((key) => Buffer.from(key, 'hex'));
    this.#callback?.setKeys(this.#keys);
    this.#forgetCollected();
    for (const reference of this.#listening) this.#apply(reference.deref());
  }

  /** A program may make servers again and again. */
  #forgetCollected() {
    for (const reference of this.#listening) {
      if (reference.deref() === undefined) this.#listening.delete(reference);
    }
  }

  /** What a server offers to those of other workers that share its address, unless all get the engine's keys. */
  getSharedData(server) {
    return this.#isServed(server) ? undefined : getSharedData(server);
  }

  /** Takes what another worker's server offers. */
  setSharedData(server, data) {
    if (!this.#isServed(server)) setSharedData(server, data);
  }

  #isServed(server) {
    return this.#isFollowing && isTls(server) && this.#getsKeys(server);
  }

  /** Learns what programs do with TLS servers. */
  #follow(prototype) {
    const tickets = this;
    const { setSecureContext, setTicketKeys, _listen2: listen } = prototype;
    const methods = {
      setSecureContext(options) {
        setSecureContext.call(this, options);
        if (options.sessionIdContext) tickets.#withOwnContext.add(this);
        else tickets.#withOwnContext.delete(this);
        if (tickets.#identities.has(this)) tickets.#begin(this);
      },
      setTicketKeys(keys) {
        setTicketKeys.call(this, keys);
        tickets.#setOwnKeys(contextOf(this), keys);
      },
      // Called for each address, also for one that the worker binds itself (lib/net.js, listenInCluster).
      _listen2(...args) {
        listen.apply(this, args);
        if (this._handle) tickets.#begin(this);
      },
    };
    for (const [name, value] of Object.entries(methods)) {
      Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
    }
    const TicketCallback = require('./ticket-callback.js');
    this.#callback = new TicketCallback();
    this.#callback.setKeys(this.#keys);
    this.#isFollowing = true;
  }

  #getsKeys(server) {
    const context = contextOf(server);
    if (server.ticketKeys !== undefined || this.#withOwnKeys.has(context)) return false;
    return !hasNoTickets(server) && (this.#contexts.has(context) || !answersItself(context));
  }

  /** A server listens, or has another context since. */
  #begin(server) {
    if (!this.#identities.has(server)) {
      this.#forgetCollected();
      this.#listening.add(new WeakRef(server));
    }
    this.#identities.set(server, identityOf(server, this.#withOwnContext.has(server)));
    this.#apply(server);
  }

  #apply(server) {
    if (this.#keys.length === 0 || !this.#getsKeys(server)) return;
    const context = contextOf(server);
    context.setSessionIdContext(this.#identities.get(server));
    if (!this.#contexts.has(context)) {
      this.#contexts.add(context);
      this.#callback.enable(context);
    }
    // What getTicketKeys() returns, and all that a version of Node without the callback has.
    context.setTicketKeys(this.#keys[0]);
  }

  #setOwnKeys(context, keys) {
    this.#withOwnKeys.add(context);
    if (this.#contexts.has(context)) this.#callback.setOwnKeys(context, keys);
  }
}

/**
 * Calls back with the prototype of tls.Server when the program makes its first one. Loading tls to get it would slow
 * down all workers; but `_contexts` is what only the constructor of tls.Server sets, and sets first.
 */
function onFirstServer(callback) {
  Object.defineProperty(net.Server.prototype, '_contexts', {
    configurable: true,
    set(value) {
      const prototype = prototypeWith(this, 'setTicketKeys');
      if (prototype !== null) delete net.Server.prototype._contexts;
      Object.defineProperty(this, '_contexts', {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
      if (prototype !== null) callback(prototype);
    },
  });
}

function prototypeWith(object, name) {
  let prototype = Object.getPrototypeOf(object);
  while (prototype !== null && !Object.hasOwn(prototype, name)) {
    prototype = Object.getPrototypeOf(prototype);
  }
  return prototype;
}

function contextOf(server) {
  return server._sharedCreds.context;
}

/** Whether the program itself tells Node the keys of tickets. */
function answersItself(context) {
  return context.onticketkeycallback !== undefined;
}

function hasNoTickets({ secureOptions }) {
  const { SSL_OP_NO_TICKET } = require('node:crypto').constants;
  return (Number(secureOptions) & SSL_OP_NO_TICKET) !== 0;
}

/**
 * The context of a server's sessions, which other servers do not resume: the same in all workers and releases. Node's
 * depends on the paths of the program. As the keys are the same for all servers, it also tells apart servers at
 * other addresses, whose certificates may be others, and servers that trust other clients: a client that has
 * shown no certificate to one server must not get into another by that server's ticket.
 */
function identityOf(server, hasOwnContext) {
  const { requestCert, rejectUnauthorized, ca, crl, pfx, sessionIdContext } = server;
  const hash = require('node:crypto').createHash('sha256');
  const add = (value) => {
    for (const part of [value].flat(Infinity)) addPart(hash, part);
  };
  add(['rs-cluster', JSON.stringify(server.address()), hasOwnContext ? sessionIdContext : '']);
  if (requestCert) add([`${rejectUnauthorized}`, ca, crl, pfx]);
  // OpenSSL takes no more.
  return hash.digest('hex').slice(0, 32);
}

/** Adds an option, with its length in front, so that no two sequences of options are the same bytes. */
function addPart(hash, part) {
  const plain = part?.buf ?? part?.pem ?? part ?? '';
  const bytes = ArrayBuffer.isView(plain) ? plain : Buffer.from(`${plain}`);
  hash.update(`${bytes.byteLength}:`).update(bytes);
}

module.exports = TlsTickets;
