// The header of every message, both directions, and the message concept. Little-endian, fixed width,
// explicit padding. See docs/wire.md.
#pragma once
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace benchfs::wire {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

inline constexpr std::uint16_t kVersion = 1;

/// The two active-message ids of UCX.
inline constexpr unsigned kAmRequest = 1;
inline constexpr unsigned kAmReply = 2;

/// Payloads up to this (names, addresses) are always inside the message, never announced.
inline constexpr std::size_t kInlineMax = 4096;

/// Flags of Header.
inline constexpr std::uint16_t kFlagChecksum = 1;  ///< Header::checksum covers the payload

struct Header {
  std::uint16_t version;
  std::uint16_t msg_id;
  std::uint16_t status;       ///< replies: 0, or the wire value of an Errc
  std::uint16_t flags;
  std::uint32_t deadline_ms;  ///< requests: time left when it was sent; 0: none
  std::uint32_t checksum;     ///< CRC32C of the payload, with kFlagChecksum
  std::uint64_t epoch;        ///< requests: of the caller's slot map; replies: of the server's
  std::uint64_t session;      ///< requests: given by the server in hello
  std::uint64_t request_id;   ///< index into the caller's table with a generation: never a pointer
};
static_assert(sizeof(Header) == 40);

/// A message: its id, name, fixed request and reply bodies, and the largest payload of each.
template <class M>
concept Message = std::is_trivially_copyable_v<typename M::Request> &&
                  std::is_trivially_copyable_v<typename M::Reply> &&
                  std::has_unique_object_representations_v<typename M::Request> &&
                  std::has_unique_object_representations_v<typename M::Reply> && requires {
                    { M::kId } -> std::convertible_to<std::uint16_t>;
                    M::kName;
                    { M::kIdempotent } -> std::convertible_to<bool>;
                    { M::kPayloadMax } -> std::convertible_to<std::uint32_t>;
                  };

/// Bodies without a field.
struct Empty {
  std::uint64_t zero = 0;
};

template <Message... M>
struct List {
  static constexpr std::size_t size = sizeof...(M);
  /// Calls f.template operator()<M>() for each message.
  template <class F>
  static constexpr void for_each(F&& f) {
    (f.template operator()<M>(), ...);
  }
};

}  // namespace benchfs::wire
