//! The system calls that a worker cannot make: doors that neither Landlock nor a view of the file system closes.
//!
//! `docs/internals/system-calls.md` says of each call of x86-64 and aarch64 why it is harmless, refused or left.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

use super::spec::Mechanisms;

/// The calls with their names, as far as this architecture has them.
macro_rules! calls {
    ($($(#[$has:meta])? $name:ident),+ $(,)?) => {
        &[$($(#[$has])? Call { name: stringify!($name), number: libc::$name }),+]
    };
}

/// A system call by its constant's name.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "the page is compared by the names"))]
struct Call {
    name: &'static str,
    number: i64,
}

/// Refused to every worker, whatever they ask for.
const REFUSED: &[Call] = calls![
    // Rings and programs that act past this filter, or see what other processes do.
    SYS_bpf,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_lookup_dcookie,
    SYS_perf_event_open,
    SYS_userfaultfd,
    // Keys belong to a user, not to a worker.
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    // The host: its kernel, its clock, its disks.
    SYS_acct,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_finit_module,
    SYS_init_module,
    #[cfg(target_arch = "x86_64")]
    SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    SYS_iopl,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_nfsservctl,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_reboot,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_vhangup,
    // Mounts and namespaces: what is not granted must not come into view.
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_pivot_root,
    SYS_setns,
    SYS_umount2,
];

/// Refused where neither Landlock nor a process namespace keeps the processes of others out of reach.
const OF_OTHERS: &[Call] =
    calls![SYS_kcmp, SYS_pidfd_getfd, SYS_process_madvise, SYS_process_vm_readv, SYS_process_vm_writev, SYS_ptrace,];

/// Refused, where others' processes have numbers here, with another number than one's own 0: limits, scheduling,
/// affinity, memory placement.
const BY_NUMBER: &[Call] = calls![
    SYS_migrate_pages,
    SYS_move_pages,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
];

/// `PRIO_USER`, and the same of `ioprio_set`, whose numbers begin at 1.
const PRIO_USER: u64 = libc::PRIO_USER as u64;
const IOPRIO_WHO_USER: u64 = 3;
/// Types into a terminal as if a person had.
const TIOCSTI: u64 = libc::TIOCSTI;
/// Does so by way of a console's selection.
const TIOCLINUX: u64 = 0x541C;
/// Numbers from here on are those of x32, which no list names.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Refuses the calls to this process and all that it will start. It must not gain privileges any more.
///
/// # Errors
/// The kernel takes no filter.
pub(super) fn refuse(program: &BpfProgram) -> Result<(), seccompiler::Error> {
    apply_filter(program)
}

/// Whether the kernel filters calls.
pub(super) fn is_supported() -> bool {
    // A thread of its own: what is refused stays so.
    let probe = || -> Result<(), seccompiler::Error> {
        let pass = sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 };
        apply_filter(&[pass])
    };
    std::thread::spawn(probe).join().is_ok_and(|done| done.is_ok())
}

/// What refuses the calls where workers are confined by these means.
///
/// # Errors
/// An architecture that has no filter.
pub(super) fn program(mechanisms: Mechanisms) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let (pass, eperm) = (SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.cast_unsigned()));
    let mut program = first_of_all();
    program.extend(BpfProgram::try_from(SeccompFilter::new(rules(mechanisms)?, pass, eperm, architecture)?)?);
    Ok(program)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(mechanisms: Mechanisms) -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let Mechanisms { landlock, view: _, layers: _, processes, filter: _ } = mechanisms;
    let when = SeccompCondition::new;
    let mut rules: Rules = REFUSED.iter().map(|call| (call.number, vec![])).collect();
    let user = libc::CLONE_NEWUSER.cast_unsigned().into();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        rules.insert(call, vec![SeccompRule::new(vec![when(0, Dword, MaskedEq(user), user)?])?]);
    }
    let ioctl = |request: u64| SeccompRule::new(vec![when(1, Dword, Eq, request)?]);
    rules.insert(libc::SYS_ioctl, vec![ioctl(TIOCSTI)?, ioctl(TIOCLINUX)?]);
    if processes {
        return Ok(rules);
    }
    if landlock.is_none() {
        rules.extend(OF_OTHERS.iter().map(|call| (call.number, vec![])));
    }
    for call in BY_NUMBER {
        rules.insert(call.number, vec![SeccompRule::new(vec![when(0, Dword, Ne, 0)?])?]);
    }
    // To read another's limits harms nobody.
    let limits = SeccompRule::new(vec![when(0, Dword, Ne, 0)?, when(2, Qword, Ne, 0)?])?;
    rules.insert(libc::SYS_prlimit64, vec![limits]);
    for (call, of_user) in [(libc::SYS_setpriority, PRIO_USER), (libc::SYS_ioprio_set, IOPRIO_WHO_USER)] {
        let of_another = SeccompRule::new(vec![when(1, Dword, Ne, 0)?])?;
        rules.insert(call, vec![of_another, SeccompRule::new(vec![when(0, Dword, Eq, of_user)?])?]);
    }
    Ok(rules)
}

/// What is answered as if the kernel did not know it: `clone3`, whose flags no filter can see, so that programs use
/// `clone`; and the numbers of x32.
fn first_of_all() -> BpfProgram {
    const NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let unknown = sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::ENOSYS.cast_unsigned() };
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    #[cfg(target_arch = "x86_64")]
    let checks =
        [sock_filter { code: 0x35, jt: 1, jf: 0, k: X32 }, sock_filter { code: 0x15, jt: 0, jf: 1, k: clone3 }];
    #[cfg(not(target_arch = "x86_64"))]
    let checks = [sock_filter { code: 0x15, jt: 0, jf: 1, k: clone3 }];
    std::iter::once(NUMBER).chain(checks).chain([unknown]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/internals/system-calls.md");

    /// The calls in the rows of a verdict.
    fn rows(verdict: &str) -> BTreeSet<String> {
        let cells = PAGE.lines().filter_map(|line| {
            let mut columns = line.strip_prefix("| ")?.split(" | ");
            let (calls, said) = (columns.next()?, columns.next()?);
            (said == verdict).then_some(calls)
        });
        cells.flat_map(|calls| calls.split(", ")).map(|name| name.trim_matches('`').to_owned()).collect()
    }

    fn names(calls: &[Call]) -> BTreeSet<String> {
        calls.iter().map(|call| call.name.trim_start_matches("SYS_").to_owned()).collect()
    }

    #[test]
    fn the_page_says_of_each_call_what_the_filter_does() {
        let mut refused = rows("refused");
        if std::env::consts::ARCH != "x86_64" {
            // Ports of devices: other architectures have no such calls.
            refused.retain(|name| !["ioperm", "iopl"].contains(&name.as_str()));
        }
        assert_eq!(refused, names(REFUSED));
        assert_eq!(rows("refused without Landlock"), names(OF_OTHERS));
        let mut of_another = names(BY_NUMBER);
        of_another.extend(["prlimit64", "setpriority", "ioprio_set"].map(str::to_owned));
        assert_eq!(rows("refused of another"), of_another);
        assert_eq!(rows("refused in part"), ["clone", "clone3", "ioctl", "unshare"].map(str::to_owned).into());
    }

    #[test]
    fn every_combination_makes_a_filter() {
        for (landlock, processes) in [(None, false), (None, true), (Some(7), false), (Some(7), true)] {
            let mechanisms = Mechanisms { landlock, processes, filter: true, ..Mechanisms::default() };
            let length = program(mechanisms).expect("a filter").len();
            assert!((50..1_000).contains(&length), "{length}");
        }
    }
}
