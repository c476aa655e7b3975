import CCurl

/// A libcurl easy handle with the memory it points to. Belongs to the loop's thread.
final class EasyHandle {
    let raw: UnsafeMutableRawPointer
    private let errorBuffer: UnsafeMutablePointer<CChar>
    private var headerList: UnsafeMutablePointer<curl_slist>?
    /// A copy of the request's body.
    private var body: UnsafeMutableRawBufferPointer?
    /// The first option that libcurl refused; a handle with one must not be used.
    private var failure = Int32(CURLE_OK.rawValue)

    init?() {
        guard let raw = ccurl_easy_new() else { return nil }
        self.raw = raw
        errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        ccurl_easy_free(raw)
        curl_slist_free_all(headerList)
        body?.deallocate()
        errorBuffer.deallocate()
    }

    /// What libcurl has to say about the failure, beyond its code; empty if nothing.
    var errorText: String { String(cString: errorBuffer) }

    /// Forgets the request, so that the handle and what it has cached (TLS sessions) can serve the next one.
    func reset() {
        ccurl_easy_reset(raw)
        curl_slist_free_all(headerList)
        headerList = nil
        body?.deallocate()
        body = nil
        errorBuffer[0] = 0
        failure = Int32(CURLE_OK.rawValue)
    }

    /// - Returns: libcurl's code; the handle may be started only if it is 0.
    func prepare(
        for transfer: Transfer, now: ContinuousClock.Instant, configuration: CurlClientConfiguration
    ) -> Int32 {
        let request = transfer.request
        note(ccurl_set_error_buffer(raw, errorBuffer))
        setCallbacks(transfer)
        setGround()
        set(CURLOPT_URL, request.url)
        setDeadlines(transfer, now: now)
        setReuse(request, configuration)
        if !transfer.hasUpload { setMethod(request) }
        transfer.prepare(self)
        setHeaders(request)
        setProxy(request)
        if let caFile = request.tls.caFile { set(CURLOPT_CAINFO, caFile) }
        return failure
    }

    /// Frees the body once the final response's head is there, if all of it has been sent: then it is not sent again, and a
    /// stream may last for hours. False if it is still needed.
    func dropSentBody() -> Bool {
        guard let body, ccurl_get_large(raw, CURLINFO_SIZE_UPLOAD_T) >= Int64(body.count) else { return body == nil }
        body.deallocate()
        self.body = nil
        return true
    }

    /// For a response that is kept together.
    func prepareExchange(_ request: CurlRequest) {
        if request.followRedirects, !request.singleSend {
            set(CURLOPT_FOLLOWLOCATION, 1)
            set(CURLOPT_MAXREDIRS, 10)
        }
        if request.maxResponseBytes > 0 {
            // A too large Content-Length ends the transfer before the body comes.
            note(ccurl_set_large(raw, CURLOPT_MAXFILESIZE_LARGE, Int64(request.maxResponseBytes)))
        }
    }

    /// For a response that is handed over as it comes.
    ///
    /// - Parameter uploadLength: nil = no upload; within it nil = of unknown length.
    func prepareStream(_ request: CurlRequest, uploadLength: Int64??) {
        // The connection of a paused HTTP/2 stream stands still for all its streams in libcurl 7.88 (NGHTTP2_ERR_PAUSE),
        // after up to 32 MiB that fit its window.
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        // What was checked is what is sent.
        set(CURLOPT_PATH_AS_IS, 1)
        // See setProxy.
        if let proxy = request.proxy, !proxy.isSOCKS { set(CURLOPT_HTTPPROXYTUNNEL, 1) }
        // libcurl reads as much at a time.
        set(CURLOPT_BUFFERSIZE, 32 << 10)
        if HeaderName.first("accept", in: request.headers) == nil { append("Accept:") }
        guard let uploadLength else { return }
        set(CURLOPT_UPLOAD, 1)
        note(ccurl_set_large(raw, CURLOPT_INFILESIZE_LARGE, uploadLength ?? -1))
        if request.method != "PUT" { set(CURLOPT_CUSTOMREQUEST, request.method) }
    }

    private func setCallbacks(_ transfer: Transfer) {
        // Unretained: the loop holds the transfer for as long as this handle is in the multi handle, and no callback
        // comes after it was removed.
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        note(
            ccurl_set_callbacks(
                raw,
                { data, size, count, context in
                    guard let context, let data else { return 0 }
                    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                    let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
                    return transfer.received(headerLine: bytes) ? bytes.count : 0
                },
                { data, size, count, context in
                    guard let context, let data else { return 0 }
                    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                    let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
                    switch transfer.received(body: bytes) {
                    case .taken: return bytes.count
                    case .pause: return Int(CURL_WRITEFUNC_PAUSE)
                    case .abort: return 0
                    }
                },
                { target, size, count, context in
                    guard let context, let target else { return Int(CURL_READFUNC_ABORT) }
                    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                    return transfer.supply(UnsafeMutableRawBufferPointer(start: target, count: size * count))
                },
                { context, address, _, _, _ in
                    guard let context else { return Int32(CURL_PREREQFUNC_ABORT) }
                    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                    let goesOn = transfer.willSend(to: address.map { String(cString: $0) })
                    return Int32(goesOn ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT)
                },
                context))
    }

    /// What holds for every request.
    private func setGround() {
        note(ccurl_limit_protocols(raw))
        ccurl_abandon_resolver(raw)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_NETRC, 0)
        set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        let version = ccurl_has_http2() ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1
        set(CURLOPT_HTTP_VERSION, Int(version))
        set(CURLOPT_TCP_KEEPALIVE, 1)
        // The environment's proxies are left out by the empty string, its exceptions likewise.
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NOPROXY, "")
        // Headers for the server are none of the proxy's business, and its answer to CONNECT is not the response.
        set(CURLOPT_HEADEROPT, Int(CURLHEADER_SEPARATE))
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    }

    private func setDeadlines(_ transfer: Transfer, now: ContinuousClock.Instant) {
        // Of the response the loop sees to: at a deadline of its own libcurl gives up without a look at the socket.
        var connect = transfer.request.connectTimeout
        if let deadline = transfer.deadline { connect = min(connect, now.duration(to: deadline)) }
        if let sendBy = transfer.request.sendBy { connect = min(connect, now.duration(to: sendBy)) }
        set(CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(connect))
    }

    private func setReuse(_ request: CurlRequest, _ configuration: CurlClientConfiguration) {
        let idle = request.singleSend ? configuration.singleSendIdleReuse : configuration.idleReuse
        let seconds = max(0, Int(clamping: idle.components.seconds))
        set(CURLOPT_MAXAGE_CONN, seconds)
        if seconds == 0 { set(CURLOPT_FRESH_CONNECT, 1) }
    }

    private func setMethod(_ request: CurlRequest) {
        let emptyIfMissing = ["POST", "PUT", "PATCH"].contains(request.method)
        if let body = request.body ?? (emptyIfMissing ? [] : nil) {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: body.count, alignment: 1)
            copy.copyBytes(from: body)
            self.body?.deallocate()
            self.body = copy
            note(ccurl_set_body(raw, copy.baseAddress, Int64(copy.count)))
            if request.method != "POST" { set(CURLOPT_CUSTOMREQUEST, request.method) }
        } else if request.method == "HEAD" {
            set(CURLOPT_NOBODY, 1)
        } else if request.method != "GET" {
            set(CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    private func setHeaders(_ request: CurlRequest) {
        var hasContentType = false
        for header in request.headers {
            if header.name.lowercased() == "content-type" { hasContentType = true }
            // libcurl reads "Name:" as "leave out"; an empty value is spelt "Name;".
            let isBlank = header.value.utf8.allSatisfy { $0 == 0x20 || $0 == 0x09 }
            append(isBlank ? "\(header.name);" : "\(header.name): \(header.value)")
        }
        // libcurl's own additions to a body: a content type nobody gave, and waiting for "100 Continue".
        if !hasContentType { append("Content-Type:") }
        append("Expect:")
        note(ccurl_set_headers(raw, headerList))
    }

    private func append(_ line: String) {
        if let list = curl_slist_append(headerList, line) {
            headerList = list
        } else {
            note(Int32(CURLE_OUT_OF_MEMORY.rawValue))
        }
    }

    private func setProxy(_ request: CurlRequest) {
        guard let proxy = request.proxy else { return }
        set(CURLOPT_PROXY, proxy.url)
        // Without a tunnel a request to an http:// URL would be handed to the proxy whole, and the proxy's own refusal
        // would look like the server's answer.
        if request.singleSend, !proxy.isSOCKS { set(CURLOPT_HTTPPROXYTUNNEL, 1) }
        set(CURLOPT_PROXY_SSL_VERIFYPEER, 1)
        set(CURLOPT_PROXY_SSL_VERIFYHOST, 2)
        if let caFile = proxy.caFile { set(CURLOPT_PROXY_CAINFO, caFile) }
        guard proxy.username != nil || proxy.password != nil else { return }
        set(CURLOPT_PROXYUSERNAME, proxy.username ?? "")
        set(CURLOPT_PROXYPASSWORD, proxy.password ?? "")
        if !proxy.isSOCKS {
            // See CurlProxy: a tunnel belongs to one user, and libcurl would not notice.
            set(CURLOPT_FRESH_CONNECT, 1)
            set(CURLOPT_FORBID_REUSE, 1)
        }
    }

    private func set(_ option: CURLoption, _ value: Int) { note(ccurl_set_long(raw, option, value)) }

    private func set(_ option: CURLoption, _ value: String) { note(ccurl_set_string(raw, option, value)) }

    private func note(_ code: Int32) {
        if failure == Int32(CURLE_OK.rawValue) { failure = code }
    }

    /// Rounded up, at least 1, because libcurl takes 0 for its own default.
    private static func milliseconds(_ duration: Duration) -> Int {
        let parts = duration.components
        guard parts.seconds < 1_000_000 else { return 1_000_000_000 }
        let rounded = (parts.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return max(1, Int(parts.seconds * 1000 + rounded))
    }
}
