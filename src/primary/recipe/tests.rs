use super::*;

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// Workers that run this program of the shell.
pub(in crate::primary) fn shell(script: &str) -> Recipe {
    Recipe {
        file: c("/bin/sh"),
        args: vec![c("sh"), c("-c"), c(script)],
        env: vec![c("PATH=/usr/bin:/bin")],
        cwd: None,
        uid: None,
        gid: None,
        stdio: vec![-2, 1, 2, -1],
        numbers: LaneNumbers { ipc: 3, control: 4, hand_off: 5, memory: 6, watchdog: None },
        queue_timeout: Duration::ZERO,
        own_group: false,
        keeps_stderr: false,
        prefix: None,
        inspect: None,
        slot_env: Vec::new(),
    }
}

fn recipe() -> Recipe {
    Recipe { env: vec![c("A=1"), c("NODE_UNIQUE_ID=9"), c("B=2")], ..shell("exit 7") }
}

#[test]
fn each_worker_gets_its_own_id_where_the_environment_has_one() {
    let mut recipe = recipe();
    let env = |recipe: &Recipe| recipe.program(12, None, None, Vec::new()).env;
    assert_eq!(env(&recipe), [c("A=1"), c("NODE_UNIQUE_ID=12"), c("B=2")]);
    recipe.env.remove(1);
    assert_eq!(env(&recipe), [c("A=1"), c("B=2"), c("NODE_UNIQUE_ID=12")]);
}

#[test]
fn a_supervised_worker_gets_the_variables_of_its_slot() {
    let variable = |name: &str, offset| SlotVariable { name: name.into(), offset };
    let slot_env = vec![variable("A", 0), variable("PORT", 3000), variable("LAST", -1)];
    let recipe = Recipe { slot_env, ..recipe() };
    let env = |slot| recipe.program(12, slot, None, Vec::new()).env;
    let id = c("NODE_UNIQUE_ID=12");
    assert_eq!(env(Some(2)), [c("A=2"), id.clone(), c("B=2"), c("PORT=3002"), c("LAST=1")]);
    assert_eq!(env(Some(0)), [c("A=0"), id.clone(), c("B=2"), c("PORT=3000"), c("LAST=-1")]);
    assert_eq!(env(None), [c("A=1"), id, c("B=2")]);
}

#[test]
fn each_worker_gets_the_next_inspector_port_also_by_another_recipe() {
    let port = InspectPort { first: 65_534, index: 1, given: Arc::default() };
    let later = port.clone();
    assert_eq!([port.next(), port.next(), later.next(), port.next()], [65_534, 65_535, 1024, 1025]);
    let recipe = Recipe { inspect: Some(port), ..recipe() };
    let args = recipe.program(1, None, Some(9230), Vec::new()).args;
    assert_eq!(args, [c("sh"), c("--inspect-port=9230"), c("-c"), c("exit 7")]);
}

#[test]
fn only_an_output_that_is_inherited_is_relayed() {
    let mut recipe = Recipe { keeps_stderr: true, ..recipe() };
    assert!(recipe.relays(Target::Stderr) && !recipe.relays(Target::Stdout));
    for stdio in [vec![0, 1, -2], vec![0, 2, 1], vec![0, 1]] {
        recipe.stdio = stdio;
        assert!(!recipe.relays(Target::Stderr));
    }
    let prefix = Some(LinePrefix { may_have_color: false });
    let recipe = Recipe { prefix, ..super::tests::recipe() };
    assert!(recipe.relays(Target::Stderr) && recipe.relays(Target::Stdout));
    let recipe = Recipe { stdio: vec![0, 2, -2], ..recipe };
    assert!(!recipe.relays(Target::Stderr) && !recipe.relays(Target::Stdout));
    assert!(!super::tests::recipe().relays(Target::Stderr));
}
