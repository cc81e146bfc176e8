// Messages 1 to 9: sessions.
#pragma once
#include <array>
#include <cstdint>

#include "wire/header.hpp"

namespace benchfs::wire {

using Nonce = std::array<std::uint8_t, 16>;
using Proof = std::array<std::uint8_t, 32>;  ///< HMAC-SHA256

inline constexpr std::uint32_t kAddressMax = 4096;

/// Opens a session. Payload: the caller's ucp worker address. The only message served without one.
/// The proof is checked before the address is looked at: HMAC(secret, "hello", nonce, cluster id,
/// instance of the server, address).
struct Hello {
  static constexpr std::uint16_t kId = 1;
  static constexpr const char* kName = "hello";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kAddressMax;
  struct Request {
    std::uint64_t cluster_id;
    Nonce nonce;
    Proof proof;
    std::uint64_t host_id;  ///< hash of the host's boot id, to tell neighbours
    std::int64_t pid;
  };
  struct Reply {
    std::uint64_t session;
    Nonce nonce;
    Proof proof;  ///< of the server: HMAC(secret, "server", both nonces, cluster id)
  };
};
/// Proves that the caller has the job's secret; the session serves other messages from here on.
struct Authenticate {
  static constexpr std::uint16_t kId = 2;
  static constexpr const char* kName = "authenticate";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    Proof proof;  ///< HMAC(secret, "client", both nonces, cluster id)
  };
  struct Reply {
    std::uint64_t default_chunk_bytes;
    std::uint32_t rpc_bytes_max;  ///< data bytes that this server takes in one message
    std::uint32_t zero;
  };
};
/// Closes the session; the server forgets it once the reply is sent.
struct Goodbye {
  static constexpr std::uint16_t kId = 3;
  static constexpr const char* kName = "goodbye";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  using Request = Empty;
  using Reply = Empty;
};

}  // namespace benchfs::wire
