// The proofs of the session handshake.
#include "net/auth.hpp"

#include "base/assert.hpp"
#include <string_view>

#include "base/secret.hpp"

namespace benchfs {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span{&value, 1});
}
std::span<const std::byte> bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}
wire::Proof to_proof(const Digest& digest) { return std::bit_cast<wire::Proof>(digest); }

}  // namespace

wire::Nonce make_nonce() {
  wire::Nonce nonce;
  // The kernel's generator fails only where there is none at all.
  BFS_ASSERT(random_bytes(std::as_writable_bytes(std::span{nonce})).has_value());
  return nonce;
}

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  BFS_ASSERT(random_bytes(std::as_writable_bytes(std::span{&value, 1})).has_value());
  return value;
}

wire::Proof hello_proof(std::span<const std::byte> secret, const wire::Nonce& client_nonce,
                        std::uint64_t cluster_id, std::uint64_t instance,
                        std::span<const std::byte> address) {
  return to_proof(hmac_sha256(secret, {bytes_of_text("hello"), bytes_of(client_nonce),
                                       bytes_of(cluster_id), bytes_of(instance), address}));
}

wire::Proof session_proof(std::span<const std::byte> secret, Side side,
                          const wire::Nonce& client_nonce, const wire::Nonce& server_nonce,
                          std::uint64_t cluster_id) {
  const std::string_view label = side == Side::client ? "client" : "server";
  return to_proof(hmac_sha256(secret, {bytes_of_text(label), bytes_of(client_nonce),
                                       bytes_of(server_nonce), bytes_of(cluster_id)}));
}

bool proofs_equal(const wire::Proof& a, const wire::Proof& b) {
  return equal_constant_time(bytes_of(a), bytes_of(b));
}

}  // namespace benchfs
