//! The C functions of the Node executable that no safe binding offers: libuv's poll, and Node-API's
//! handle and callback scopes.
//!
//! They are looked up in the running executable, so the core links and tests without Node. libuv's
//! structures are used through its functions only; no layout is assumed. Everything here belongs to
//! the thread of one JavaScript environment, and the types can't leave it.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    cell::{Cell, RefCell},
    ffi::{c_char, c_int, c_void},
    io,
    marker::PhantomData,
    os::fd::RawFd,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    rc::Rc,
    sync::OnceLock,
    time::Duration,
};

/// Values of libuv's `uv_handle_type` and `uv_poll_event`, stable since libuv 1.0.
const UV_POLL: c_int = 8;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
const UV_WRITABLE: c_int = 2;
pub(super) const NAPI_OK: c_int = 0;
const NAPI_PENDING_EXCEPTION: c_int = 10;

pub(super) type Pointer = *mut c_void;
type OnPoll = unsafe extern "C" fn(Pointer, c_int, c_int);
type OnTimer = unsafe extern "C" fn(Pointer);
type OnClose = unsafe extern "C" fn(Pointer);
type OnCall = unsafe extern "C" fn(Pointer, Pointer) -> Pointer;
type OnCleanup = unsafe extern "C" fn(Pointer);
type OnFinalize = unsafe extern "C" fn(Pointer, Pointer, Pointer);

macro_rules! symbols {
    ($($name:ident: $signature:ty,)*) => {
        /// Functions exported by every Node executable of the supported versions.
        pub(super) struct Symbols {
            $(pub(super) $name: $signature,)*
        }

        impl Symbols {
            fn load() -> Option<Self> {
                $(
                    // SAFETY: the name is a C string; the lookup has no other condition.
                    let $name = unsafe {
                        libc::dlsym(libc::RTLD_DEFAULT, concat!(stringify!($name), "\0").as_ptr().cast())
                    };
                    if $name.is_null() {
                        return None;
                    }
                )*
                Some(Self {
                    // SAFETY: the signatures are those of uv.h and node_api.h.
                    $($name: unsafe { std::mem::transmute::<Pointer, $signature>($name) },)*
                })
            }
        }
    };
}

symbols! {
    uv_handle_size: unsafe extern "C" fn(c_int) -> usize,
    uv_handle_set_data: unsafe extern "C" fn(Pointer, Pointer),
    uv_handle_get_data: unsafe extern "C" fn(Pointer) -> Pointer,
    uv_poll_init: unsafe extern "C" fn(Pointer, Pointer, c_int) -> c_int,
    uv_poll_start: unsafe extern "C" fn(Pointer, c_int, OnPoll) -> c_int,
    uv_poll_stop: unsafe extern "C" fn(Pointer) -> c_int,
    uv_timer_init: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    uv_timer_start: unsafe extern "C" fn(Pointer, OnTimer, u64, u64) -> c_int,
    uv_is_active: unsafe extern "C" fn(Pointer) -> c_int,
    uv_close: unsafe extern "C" fn(Pointer, OnClose),
    uv_ref: unsafe extern "C" fn(Pointer),
    uv_unref: unsafe extern "C" fn(Pointer),
    napi_create_string_utf8: unsafe extern "C" fn(Pointer, *const c_char, usize, *mut Pointer) -> c_int,
    napi_get_value_string_utf16: unsafe extern "C" fn(Pointer, Pointer, *mut u16, usize, *mut usize) -> c_int,
    napi_get_value_string_utf8: unsafe extern "C" fn(Pointer, Pointer, *mut c_char, usize, *mut usize) -> c_int,
    napi_get_buffer_info: unsafe extern "C" fn(Pointer, Pointer, *mut Pointer, *mut usize) -> c_int,
    napi_create_double: unsafe extern "C" fn(Pointer, f64, *mut Pointer) -> c_int,
    napi_create_function: unsafe extern "C" fn(Pointer, *const c_char, usize, OnCall, Pointer, *mut Pointer) -> c_int,
    napi_set_named_property: unsafe extern "C" fn(Pointer, Pointer, *const c_char, Pointer) -> c_int,
    napi_add_finalizer: unsafe extern "C" fn(Pointer, Pointer, Pointer, OnFinalize, Pointer, *mut Pointer) -> c_int,
    napi_get_cb_info: unsafe extern "C" fn(Pointer, Pointer, *mut usize, *mut Pointer, *mut Pointer, *mut Pointer) -> c_int,
    napi_get_undefined: unsafe extern "C" fn(Pointer, *mut Pointer) -> c_int,
    napi_get_value_bool: unsafe extern "C" fn(Pointer, Pointer, *mut bool) -> c_int,
    napi_call_function: unsafe extern "C" fn(Pointer, Pointer, Pointer, usize, *const Pointer, *mut Pointer) -> c_int,
    napi_get_and_clear_last_exception: unsafe extern "C" fn(Pointer, *mut Pointer) -> c_int,
    napi_fatal_exception: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    napi_add_env_cleanup_hook: unsafe extern "C" fn(Pointer, OnCleanup, Pointer) -> c_int,
    napi_remove_env_cleanup_hook: unsafe extern "C" fn(Pointer, OnCleanup, Pointer) -> c_int,
    napi_async_init: unsafe extern "C" fn(Pointer, Pointer, Pointer, *mut Pointer) -> c_int,
    napi_async_destroy: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    napi_open_handle_scope: unsafe extern "C" fn(Pointer, *mut Pointer) -> c_int,
    napi_close_handle_scope: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    napi_open_callback_scope: unsafe extern "C" fn(Pointer, Pointer, Pointer, *mut Pointer) -> c_int,
    napi_close_callback_scope: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
}

pub(super) fn symbols() -> io::Result<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref().ok_or_else(|| {
        io::Error::new(io::ErrorKind::Unsupported, "this runtime is not Node: it hides libuv")
    })
}

/// Which events to wait for, or which have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read, or the end.
    pub readable: bool,
    /// There is room to write, or nobody left to read.
    pub writable: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::NONE
    }
}

impl Readiness {
    /// Neither; the wait rests.
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
    /// Names the loop that `napi_get_uv_event_loop` gave.
    ///
    /// This is a promise of the caller, not checked: the pointer is that of the calling
    /// environment, whose cleanup hooks will close every [`Poll`] made with it.
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

type Handler = Rc<dyn Fn(Readiness)>;

/// What hangs on the libuv handle: freed when libuv has let go of it, never before.
struct Attachment {
    /// Gone when the [`Handle`] is, as it may hold what must not outlive the environment. Counted,
    /// because it may drop the `Handle` itself.
    handler: RefCell<Option<Handler>>,
    /// What a poll waits for.
    events: Rc<Cell<Readiness>>,
    layout: Layout,
}

impl Handle {
    /// `init` has libuv initialize the memory of a handle of this type.
    fn new(
        handle_type: c_int,
        init: impl FnOnce(&Symbols, Pointer) -> c_int,
        handler: Handler,
        events: Rc<Cell<Readiness>>,
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
        let attachment = Box::new(Attachment { handler, events, layout });
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

/// Watches a descriptor from Node's own event loop. Closed on drop; the descriptor may be closed
/// right after. Starts at rest, and holding the event loop open.
pub struct Poll {
    handle: Handle,
    /// What libuv waits for.
    events: Rc<Cell<Readiness>>,
}

impl Poll {
    /// Will call `handler` on the loop's thread, outside of any scope of JavaScript.
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
        let handle = Handle::new(UV_POLL, init, Rc::new(handler), Rc::clone(&events))?;
        Ok(Self { handle, events })
    }

    /// Says which events to wait for from now on.
    pub fn wait_for(&self, events: Readiness) {
        // libuv would take the descriptor out of its epoll instance, and in again.
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

    /// Holds the event loop open from now on.
    pub fn reference(&self) {
        self.handle.reference();
    }

    /// No longer holds the event loop open.
    pub fn unreference(&self) {
        self.handle.unreference();
    }
}

/// Calls back once after a while, from Node's own event loop, which it holds open meanwhile. Closed on
/// drop.
pub struct Timer {
    handle: Handle,
}

impl Timer {
    /// Will call `handler` on the loop's thread, outside of any scope of JavaScript.
    ///
    /// # Errors
    /// When the runtime has no libuv.
    pub fn new(on: EventLoop, handler: impl Fn() + 'static) -> io::Result<Self> {
        let init = |symbols: &Symbols, handle| {
            // SAFETY: the memory has the size libuv asked for, and the loop lives (see `EventLoop`).
            unsafe { (symbols.uv_timer_init)(on.0, handle) }
        };
        let handler = Rc::new(move |_| handler());
        Ok(Self { handle: Handle::new(UV_TIMER, init, handler, Rc::default())? })
    }

    /// Holds the event loop open from now on, while it runs.
    pub fn reference(&self) {
        self.handle.reference();
    }

    /// No longer holds the event loop open.
    pub fn unreference(&self) {
        self.handle.unreference();
    }

    /// Starts the time, unless it runs already.
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

/// What hangs on a handle whose callback libuv calls.
///
/// # Safety
/// `handle` is one of [`Handle::new`]. What it gives is not to be kept beyond the callback.
unsafe fn attachment_of<'a>(handle: Pointer) -> Option<&'a Attachment> {
    let symbols = symbols().ok()?;
    // SAFETY: set in `Handle::new`; libuv calls no callback after `on_close`, which frees it.
    Some(unsafe { &*(symbols.uv_handle_get_data)(handle).cast::<Attachment>() })
}

unsafe extern "C" fn on_timer(handle: Pointer) {
    // SAFETY: libuv calls back for the handle of a `Timer`.
    let Some(attachment) = (unsafe { attachment_of(handle) }) else { return };
    call(attachment, Readiness::NONE);
}

unsafe extern "C" fn on_poll(handle: Pointer, status: c_int, events: c_int) {
    // SAFETY: libuv calls back for the handle of a `Poll`.
    let Some(attachment) = (unsafe { attachment_of(handle) }) else { return };
    if status < 0 {
        // libuv waits no longer.
        attachment.events.set(Readiness::NONE);
    }
    // An error of the poll shows itself at the next read.
    let readable = status < 0 || events & UV_READABLE != 0;
    call(attachment, Readiness { readable, writable: events & UV_WRITABLE != 0 });
}

fn call(attachment: &Attachment, readiness: Readiness) {
    let handler = attachment.handler.borrow().clone();
    if let Some(handler) = handler {
        contain(|| handler(readiness));
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

/// A panic must not unwind into C; Rust's hook has already written it to stderr.
pub(super) fn contain(run: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(run));
}

/// Enters JavaScript from the event loop, as Node does for its own callbacks: `process.nextTick`
/// and promise jobs run when the outermost scope ends.
pub struct CallbackContext {
    env: Pointer,
    context: NonNull<c_void>,
    symbols: &'static Symbols,
}

impl CallbackContext {
    /// `name` is what `async_hooks` shows. To be called from JavaScript.
    ///
    /// `env` is promised to be the environment of the caller, and to outlive the context.
    ///
    /// # Errors
    /// When the environment is ending, or the runtime is not Node.
    pub(crate) fn new(env: *mut c_void, name: &str) -> io::Result<Self> {
        let symbols = symbols()?;
        let mut context = ptr::null_mut();
        let mut label = ptr::null_mut();
        let failed = || io::Error::other("the JavaScript environment is ending");
        // SAFETY: the environment is running, with a handle scope of the call we are in.
        unsafe {
            let name = (name.as_ptr().cast(), name.len());
            if (symbols.napi_create_string_utf8)(env, name.0, name.1, &raw mut label) != NAPI_OK
                || (symbols.napi_async_init)(env, ptr::null_mut(), label, &raw mut context)
                    != NAPI_OK
            {
                return Err(failed());
            }
        }
        let context = NonNull::new(context).ok_or_else(failed)?;
        Ok(Self { env, context, symbols })
    }

    /// Runs `run` inside the scopes. Calls into JavaScript fail when the environment is ending.
    pub fn enter(&self, run: impl FnOnce()) {
        let mut handles = ptr::null_mut();
        let mut callback = ptr::null_mut();
        // SAFETY: the environment outlives us, and we are on its thread. The resource object is
        // ignored by Node (node_api.cc); scopes are closed in the reverse order.
        unsafe {
            if (self.symbols.napi_open_handle_scope)(self.env, &raw mut handles) != NAPI_OK {
                return;
            }
            let context = self.context.as_ptr();
            let opened = (self.symbols.napi_open_callback_scope)(
                self.env,
                ptr::null_mut(),
                context,
                &raw mut callback,
            );
            if opened == NAPI_OK {
                contain(run);
                (self.symbols.napi_close_callback_scope)(self.env, callback);
            }
            (self.symbols.napi_close_handle_scope)(self.env, handles);
        }
    }
}

/// What a function of JavaScript came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// It returned something; whether that was `true`.
    Returned(bool),
    /// It threw, which has been reported as an uncaught exception, or the environment is ending.
    Failed,
}

/// Calls a function of JavaScript. What it throws is an uncaught exception, the very value: it may be any,
/// and nothing of it is looked at.
///
/// All three are promised to be of the environment whose thread this is, and alive.
pub(crate) fn call_function(env: Pointer, function: Pointer, arguments: &[Pointer]) -> Called {
    let Ok(symbols) = symbols() else { return Called::Failed };
    let (mut this, mut returned) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: values of this environment, as promised, on its thread.
    let status = unsafe {
        (symbols.napi_get_undefined)(env, &raw mut this);
        let (count, first) = (arguments.len(), arguments.as_ptr());
        (symbols.napi_call_function)(env, this, function, count, first, &raw mut returned)
    };
    match status {
        NAPI_OK => {
            let mut is_true = false;
            // SAFETY: as above. It is left alone where the value is not a boolean.
            unsafe { (symbols.napi_get_value_bool)(env, returned, &raw mut is_true) };
            Called::Returned(is_true)
        }
        NAPI_PENDING_EXCEPTION => {
            let mut thrown = ptr::null_mut();
            // SAFETY: as above.
            let cleared =
                unsafe { (symbols.napi_get_and_clear_last_exception)(env, &raw mut thrown) };
            if cleared == NAPI_OK {
                report_uncaught(env, thrown);
            }
            Called::Failed
        }
        _ => Called::Failed,
    }
}

/// Reports an uncaught exception: the process ends of it, unless a handler of the user's takes it.
///
/// Both are promised to be of the environment whose thread this is, and alive.
pub(crate) fn report_uncaught(env: Pointer, thrown: Pointer) {
    if let Ok(symbols) = symbols() {
        // SAFETY: as promised.
        unsafe { (symbols.napi_fatal_exception)(env, thrown) };
    }
}

type Cleanup = Rc<dyn Fn()>;

/// Runs code when the environment ends, unless dropped before. It may drop itself.
pub struct CleanupHook {
    env: Pointer,
    run: *mut Cleanup,
    symbols: &'static Symbols,
}

impl CleanupHook {
    /// `env` is promised to be the environment whose thread this is, and to outlive the hook.
    ///
    /// # Errors
    /// When the environment is ending, or the runtime is not Node.
    pub(crate) fn new(env: *mut c_void, run: impl Fn() + 'static) -> io::Result<Self> {
        let symbols = symbols()?;
        let run: *mut Cleanup = Box::into_raw(Box::new(Rc::new(run)));
        let hook = Self { env, run, symbols };
        // SAFETY: the environment is running; what `run` points to lives as long as the hook is set.
        let status =
            unsafe { (symbols.napi_add_env_cleanup_hook)(env, on_cleanup, hook.run.cast()) };
        let failed = || io::Error::other("the JavaScript environment is ending");
        if status == NAPI_OK { Ok(hook) } else { Err(failed()) }
    }
}

impl Drop for CleanupHook {
    fn drop(&mut self) {
        // SAFETY: set in `new` with the same arguments, and removed before what it points to is freed. To
        // remove a hook that has not been set, or has run, does nothing.
        unsafe {
            (self.symbols.napi_remove_env_cleanup_hook)(self.env, on_cleanup, self.run.cast());
            drop(Box::from_raw(self.run));
        }
    }
}

unsafe extern "C" fn on_cleanup(run: Pointer) {
    // SAFETY: the box of a `CleanupHook` that has not been dropped. The clone lives while it runs, even if
    // it drops the hook.
    let run = unsafe { Rc::clone(&*run.cast::<Cleanup>()) };
    contain(|| run());
}

impl Drop for CallbackContext {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once, on its thread and before its environment ends.
        unsafe { (self.symbols.napi_async_destroy)(self.env, self.context.as_ptr()) };
    }
}
