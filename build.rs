//! Allows undefined Node-API symbols when linking the addon: Node defines them when it loads it.

fn main() {
    #[cfg(feature = "binding")]
    napi_build::setup();
}
