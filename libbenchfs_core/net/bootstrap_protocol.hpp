// The protocol of a server's bootstrap port, plain TCP: how servers find each other and clients
// find them, before there is a fabric between them. One request per connection:
//   server: Banner    client: Request, payload    server: Reply, payload    both close
// Little-endian, fixed width. All but ping carry a proof of the job's secret over both nonces, and
// so do their replies: neither side believes what somebody else says.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "wire/messages.hpp"

namespace benchfs::bootstrap {

inline constexpr std::uint32_t kMagic = 0x42534642;  // "BFSB"
inline constexpr std::uint16_t kVersion = 1;

enum class Op : std::uint16_t {
  ping = 1,     ///< unauthenticated; replies a Pong
  cluster = 2,  ///< replies the published cluster file, or Errc::busy before there is one
  join = 3,     ///< server to coordinator: payload a server record; replies the cluster file, or
                ///< Errc::busy while servers are missing (ask again), or why it cannot join
  stop = 4,     ///< asks the server to drain and exit
  stored = 5,   ///< replies the cluster file kept in the data directory, or Errc::not_found
};
inline constexpr std::uint16_t kOpMax = 5;

enum class State : std::uint32_t {
  starting = 0,  ///< no cluster yet
  formed = 1,    ///< knows its cluster
  ready = 2,     ///< serves files
  draining = 3,  ///< about to exit
};

struct Banner {
  std::uint32_t magic = kMagic;
  std::uint16_t version = kVersion;
  std::uint16_t zero = 0;
  wire::Nonce nonce{};
};
static_assert(sizeof(Banner) == 24);

struct Request {
  std::uint32_t magic = kMagic;
  std::uint16_t version = kVersion;
  std::uint16_t op = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t zero = 0;
  wire::Nonce nonce{};
  wire::Proof proof{};
};
static_assert(sizeof(Request) == 64);

struct Reply {
  std::uint32_t magic = kMagic;
  std::uint16_t status = 0;  ///< 0, or the wire value of an Errc: the payload is then a text
  std::uint16_t zero = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t zero2 = 0;
  wire::Proof proof{};
};
static_assert(sizeof(Reply) == 48);

struct Pong {
  std::uint64_t instance;
  std::uint64_t cluster_id;  ///< 0: none yet
  std::uint32_t state;
  std::uint32_t zero;
};
static_assert(sizeof(Pong) == 24);

/// A server reads this much before it knows who is asking; a record fits well.
inline constexpr std::uint32_t kRequestPayloadMax = 64u << 10;
/// The largest cluster file.
inline constexpr std::uint32_t kReplyPayloadMax = 16u << 20;

/// Null, or what is wrong with the frame.
const char* defect(const Banner& banner);
const char* defect(const Request& request);
const char* defect(const Reply& reply);

wire::Proof request_proof(std::string_view secret, const wire::Nonce& server_nonce,
                          const Request& request, std::string_view payload);
wire::Proof reply_proof(std::string_view secret, const wire::Nonce& server_nonce,
                        const Request& request, const Reply& reply, std::string_view payload);

/// A frame as bytes, to read into and write from.
template <class Frame>
std::span<std::byte> bytes_of(Frame& frame) {
  return std::as_writable_bytes(std::span{&frame, 1});
}
template <class Frame>
std::span<const std::byte> bytes_of(const Frame& frame) {
  return std::as_bytes(std::span{&frame, 1});
}
inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

}  // namespace benchfs::bootstrap
