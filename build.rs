//! Lets the linker leave Node-API's symbols open: Node provides them when it loads the addon.

fn main() {
    #[cfg(feature = "binding")]
    napi_build::setup();
}
