// The asking side of the bootstrap port.
#pragma once
#include <cstdint>
#include <string>

#include "net/bootstrap_protocol.hpp"
#include "net/cluster_info.hpp"
#include "net/socket.hpp"

namespace benchfs {

/// One request to the bootstrap port of `host:port`; ends within `timeout_ms`. The value is the
/// payload of the reply. Errors: unreachable, timed_out, version, bad_message, access (either side
/// lacks the secret), or what the server replied; the text names the server.
Task<Explained<std::string>> bootstrap_call(Loop& loop, std::string host, std::uint16_t port,
                                            bootstrap::Op op, std::string payload,
                                            std::string secret, std::int64_t timeout_ms);

/// Who answers at `host:port`, and in what state it is.
Task<Explained<bootstrap::Pong>> bootstrap_ping(Loop& loop, std::string host, std::uint16_t port,
                                                std::int64_t timeout_ms);

/// Success only if the process `instance` answers at `host:port`: unreachable if another one does
/// or nobody, timed_out if there was no answer in time.
Task<Status> probe(Loop& loop, std::string host, std::uint16_t port, std::uint64_t instance,
                   std::int64_t timeout_ms);

/// Asks a server to drain and exit; returns when it has said that it will.
Task<Explained<void>> request_stop(Loop& loop, std::string host, std::uint16_t port,
                                   std::string secret, std::int64_t timeout_ms);

}  // namespace benchfs
