//! libuv's polls and timers, on Node's own event loop.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    cell::{Cell, RefCell},
    ffi::{c_int, c_void},
    io,
    marker::PhantomData,
    os::fd::RawFd,
    ptr::NonNull,
    rc::Rc,
    time::Duration,
};

use super::symbols::{Pointer, Symbols, catch_panic, symbols};

/// Values of libuv's `uv_handle_type` and `uv_poll_event`, stable since libuv 1.0.
const UV_CHECK: c_int = 2;
const UV_POLL: c_int = 8;
const UV_PREPARE: c_int = 9;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
const UV_WRITABLE: c_int = 2;
/// Which events to wait for, or which have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read, or the end.
    pub readable: bool,
    /// There is room to write, or no reader is left.
    pub writable: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::NONE
    }
}

impl Readiness {
    /// Neither: the poll is stopped.
    pub const NONE: Self = Self { readable: false, writable: false };
    /// Readable only.
    pub const READ: Self = Self { readable: true, writable: false };

    fn bits(self) -> c_int {
        (if self.readable { UV_READABLE } else { 0 })
            | (if self.writable { UV_WRITABLE } else { 0 })
    }
}

/// A libuv loop, for [`Poll::new`].
#[derive(Debug, Clone, Copy)]
pub struct EventLoop(Pointer);

impl EventLoop {
    /// Wraps the loop that `napi_get_uv_event_loop` returned.
    ///
    /// The caller promises that the pointer is that of the calling environment, whose cleanup hooks
    /// will close every [`Poll`] made with it. This is not checked.
    pub(crate) fn of_environment(raw: *mut c_void) -> Self {
        Self(raw)
    }
}

/// A handle of libuv, closed on drop. Bound to the thread of its loop.
struct Handle {
    raw: NonNull<c_void>,
    symbols: &'static Symbols,
    thread: PhantomData<*const ()>,
}

/// Gets what is ready, and whether libuv has stopped waiting.
type Handler = Rc<dyn Fn(Readiness, bool)>;

/// What belongs to a libuv handle: freed when libuv has closed the handle, never before.
struct Attachment {
    /// Dropped with the [`Handle`], because it may own what must not outlive the environment.
    /// Reference-counted, because it may drop the `Handle` itself.
    handler: RefCell<Option<Handler>>,
    layout: Layout,
}

impl Handle {
    /// `init` makes libuv initialize the memory of a handle of this type.
    fn new(
        handle_type: c_int,
        init: impl FnOnce(&Symbols, Pointer) -> c_int,
        handler: Handler,
    ) -> io::Result<Self> {
        let symbols = symbols()?;
        // SAFETY: a query of a constant.
        let size = unsafe { (symbols.uv_handle_size)(handle_type) };
        let layout = Layout::from_size_align(size, align_of::<u128>())
            .map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
        // SAFETY: libuv's handles are never of size 0.
        let memory = unsafe { alloc_zeroed(layout) };
        let raw = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let result = init(symbols, raw.as_ptr());
        if result != 0 {
            // SAFETY: libuv did not take the memory, which was allocated with this layout.
            unsafe { dealloc(memory, layout) };
            return Err(io::Error::from_raw_os_error(-result));
        }
        let handler = RefCell::new(Some(handler));
        let attachment = Box::new(Attachment { handler, layout });
        // SAFETY: initialized above.
        unsafe { (symbols.uv_handle_set_data)(raw.as_ptr(), Box::into_raw(attachment).cast()) };
        Ok(Self { raw, symbols, thread: PhantomData })
    }

    fn reference(&self) {
        // SAFETY: the handle is initialized, and not closed before drop.
        unsafe { (self.symbols.uv_ref)(self.raw.as_ptr()) };
    }

    fn unreference(&self) {
        // SAFETY: the handle is initialized, and not closed before drop.
        unsafe { (self.symbols.uv_unref)(self.raw.as_ptr()) };
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: set in `new`, and freed only by `on_close`, which runs later.
        let attachment =
            unsafe { &*(self.symbols.uv_handle_get_data)(self.raw.as_ptr()).cast::<Attachment>() };
        drop(attachment.handler.take());
        // SAFETY: initialized, and closed only here. The memory stays until `on_close`.
        unsafe { (self.symbols.uv_close)(self.raw.as_ptr(), on_close) };
    }
}

/// Watches a descriptor from Node's own event loop. Closed on drop; the descriptor may be closed right
/// after. At first it waits for nothing, and keeps the event loop alive.
pub struct Poll {
    handle: Handle,
    /// What libuv waits for.
    events: Rc<Cell<Readiness>>,
}

impl Poll {
    /// Will call `handler` on the loop's thread, outside of any JavaScript scope.
    ///
    /// # Errors
    /// When the descriptor can't be polled, or the runtime has no libuv.
    pub fn new(
        on: EventLoop,
        fd: RawFd,
        handler: impl Fn(Readiness) + 'static,
    ) -> io::Result<Self> {
        let events = Rc::new(Cell::new(Readiness::NONE));
        let init = |symbols: &Symbols, handle| {
            // SAFETY: the memory has the size libuv asked for, and the loop lives (see `EventLoop`).
            unsafe { (symbols.uv_poll_init)(on.0, handle, fd) }
        };
        let waited_for = Rc::clone(&events);
        let handler = move |readiness, has_stopped| {
            if has_stopped {
                waited_for.set(Readiness::NONE);
            }
            handler(readiness);
        };
        Ok(Self { handle: Handle::new(UV_POLL, init, Rc::new(handler))?, events })
    }

    /// Sets the events to wait for.
    pub fn wait_for(&self, events: Readiness) {
        // libuv would remove the descriptor from its epoll instance, and add it again.
        if self.events.replace(events) == events {
            return;
        }
        let Handle { raw, symbols, .. } = &self.handle;
        // SAFETY: the handle is initialized, and not closed before drop. Neither call can fail on
        // such a handle: libuv talks to the kernel later, and aborts where that fails.
        unsafe {
            if events == Readiness::NONE {
                (symbols.uv_poll_stop)(raw.as_ptr());
            } else {
                (symbols.uv_poll_start)(raw.as_ptr(), events.bits(), on_poll);
            }
        }
    }

    /// Keeps the event loop alive from now on.
    pub fn reference(&self) {
        self.handle.reference();
    }

    /// No longer keeps the event loop alive.
    pub fn unreference(&self) {
        self.handle.unreference();
    }
}

/// Calls back once, after a time, from Node's own event loop, which it keeps alive meanwhile. Closed on
/// drop.
pub struct Timer {
    handle: Handle,
}

impl Timer {
    /// Will call `handler` on the loop's thread, outside of any JavaScript scope.
    ///
    /// # Errors
    /// When the runtime has no libuv.
    pub fn new(on: EventLoop, handler: impl Fn() + 'static) -> io::Result<Self> {
        let init = |symbols: &Symbols, handle| {
            // SAFETY: the memory has the size libuv asked for, and the loop lives (see `EventLoop`).
            unsafe { (symbols.uv_timer_init)(on.0, handle) }
        };
        let handler = Rc::new(move |_, _| handler());
        Ok(Self { handle: Handle::new(UV_TIMER, init, handler)? })
    }

    /// Keeps the event loop alive from now on, while the timer runs.
    pub fn reference(&self) {
        self.handle.reference();
    }

    /// No longer keeps the event loop alive.
    pub fn unreference(&self) {
        self.handle.unreference();
    }

    /// Starts the timer, unless it is running.
    pub fn start(&self, after: Duration) {
        let Handle { raw, symbols, .. } = &self.handle;
        let milliseconds = after.as_millis().try_into().unwrap_or(u64::MAX);
        // SAFETY: the handle is initialized, and not closed before drop. It fails only without a
        // callback.
        unsafe {
            if (symbols.uv_is_active)(raw.as_ptr()) == 0 {
                (symbols.uv_timer_start)(raw.as_ptr(), on_timer, milliseconds, 0);
            }
        }
    }
}

/// Calls back in each turn of Node's own event loop, right before it polls and right after, without keeping it
/// alive. Closed on drop.
pub struct Turns {
    _before_poll: Handle,
    _after_poll: Handle,
}

impl Turns {
    /// Will call `before_poll` and `after_poll` on the loop's thread, outside of any JavaScript scope.
    ///
    /// # Errors
    /// When the runtime has no libuv.
    pub fn new(
        on: EventLoop,
        before_poll: impl Fn() + 'static,
        after_poll: impl Fn() + 'static,
    ) -> io::Result<Self> {
        let prepare = |symbols: &Symbols, handle| {
            // SAFETY: the memory has the size libuv asked for, and the loop lives (see `EventLoop`).
            unsafe { (symbols.uv_prepare_init)(on.0, handle) }
        };
        let check = |symbols: &Symbols, handle| {
            // SAFETY: as above.
            unsafe { (symbols.uv_check_init)(on.0, handle) }
        };
        let before = Handle::new(UV_PREPARE, prepare, Rc::new(move |_, _| before_poll()))?;
        let after = Handle::new(UV_CHECK, check, Rc::new(move |_, _| after_poll()))?;
        before.unreference();
        after.unreference();
        // SAFETY: both are initialized. A handle that is started last is called first, so `after_poll` comes
        // before the callbacks of setImmediate. It fails only without a callback.
        unsafe {
            (before.symbols.uv_prepare_start)(before.raw.as_ptr(), on_turn);
            (after.symbols.uv_check_start)(after.raw.as_ptr(), on_turn);
        }
        Ok(Self { _before_poll: before, _after_poll: after })
    }
}

/// The attachment of a handle whose callback libuv calls.
///
/// # Safety
/// `handle` comes from [`Handle::new`]. The result must not be kept beyond the callback.
unsafe fn attachment_of<'a>(handle: Pointer) -> Option<&'a Attachment> {
    let symbols = symbols().ok()?;
    // SAFETY: set in `Handle::new`; libuv calls no callback after `on_close`, which frees it.
    Some(unsafe { &*(symbols.uv_handle_get_data)(handle).cast::<Attachment>() })
}

unsafe extern "C" fn on_timer(handle: Pointer) {
    // SAFETY: libuv calls back for the handle of a `Timer`.
    let Some(attachment) = (unsafe { attachment_of(handle) }) else { return };
    call(attachment, Readiness::NONE, false);
}

unsafe extern "C" fn on_turn(handle: Pointer) {
    // SAFETY: libuv calls back for a handle of `Turns`.
    let Some(attachment) = (unsafe { attachment_of(handle) }) else { return };
    call(attachment, Readiness::NONE, false);
}

unsafe extern "C" fn on_poll(handle: Pointer, status: c_int, events: c_int) {
    // SAFETY: libuv calls back for the handle of a `Poll`.
    let Some(attachment) = (unsafe { attachment_of(handle) }) else { return };
    // libuv stops a poll that has failed. The next read shows the error.
    let has_failed = status < 0;
    let readable = has_failed || events & UV_READABLE != 0;
    let writable = events & UV_WRITABLE != 0;
    call(attachment, Readiness { readable, writable }, has_failed);
}

fn call(attachment: &Attachment, readiness: Readiness, has_stopped: bool) {
    let handler = attachment.handler.borrow().clone();
    if let Some(handler) = handler {
        catch_panic(|| handler(readiness, has_stopped));
    }
}

unsafe extern "C" fn on_close(handle: Pointer) {
    let Ok(symbols) = symbols() else { return };
    // SAFETY: the box made in `Handle::new`, taken back once: this is the handle's last callback.
    let attachment =
        unsafe { Box::from_raw((symbols.uv_handle_get_data)(handle).cast::<Attachment>()) };
    // SAFETY: libuv is done with the memory, which was allocated with this layout.
    unsafe { dealloc(handle.cast(), attachment.layout) };
}
