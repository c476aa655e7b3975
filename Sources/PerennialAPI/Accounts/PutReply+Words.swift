public import RefreshCore

extension PutReply {
    /// Why a refresh token was not taken in, as a sentence without a full stop; nil where that was not the reason.
    public func reasonAgainstToken(of put: AccountPut) -> String? {
        switch self {
        case .refusedBefore(let time):
            var date: [UInt8] = []
            Timestamp(time).append(to: &date)
            return "this refresh token was refused by \(put.provider) on \(String(decoding: date, as: UTF8.self)): "
                + "log in again"
        case .tokenInUse(let owner):
            return "this refresh token was given to account \(owner) already, and two accounts that spend one token "
                + "end both: log in once for each, or remove that account"
        default: return nil
        }
    }
}
