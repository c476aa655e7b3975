import Perennial

let perennial = try await Perennial.connect(file: "perennial.yaml")

try await perennial.addAccount("alice", provider: "acme", refreshToken: refreshToken)

do {
    let profile = try await perennial.withToken(for: "alice") { token in
        let answer = try await http.get("/profile", authorization: token.revealAuthorization())
        if answer.status == 401 { throw TokenRefused() }
        return answer.body
    }
    show(profile)
} catch let error as PerennialError {
    switch error.remedy {
    case .logInAgain: askToLogIn("alice")
    case .retry(let after): tryAgain(in: after)
    default: logger.error("\(error)")
    }
}

await perennial.shutdown()
