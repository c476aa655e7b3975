import NIOCore

extension TimeAmount {
    /// A configured duration brought into the range 0…1 year, so that no arithmetic on deadlines can overflow.
    init(clamping duration: Duration) {
        self.init(min(max(duration, .zero), .seconds(365 * 24 * 3600)))
    }
}
