import Glibc

/// The machine, as far as a reader of a report has to know it.
enum CPUs {
    static var count: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
