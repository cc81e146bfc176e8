// The proofs of the session handshake: HMAC-SHA256 with the job's secret over both sides' nonces
// (DESIGN: security). Whoever cannot make them has no session.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <bit>

#include "wire/messages.hpp"

namespace benchfs {

wire::Nonce make_nonce();
/// From the kernel's random number generator.
std::uint64_t random_u64();

/// Of the caller, in hello: covers the address that the server is about to connect to.
wire::Proof hello_proof(std::span<const std::byte> secret, const wire::Nonce& client_nonce,
                        std::uint64_t cluster_id, std::uint64_t instance,
                        std::span<const std::byte> address);

enum class Side { client, server };
/// Of either side, once both nonces are known.
wire::Proof session_proof(std::span<const std::byte> secret, Side side, const wire::Nonce& client_nonce,
                          const wire::Nonce& server_nonce, std::uint64_t cluster_id);

/// Compares in a time that does not depend on the content.
bool proofs_equal(const wire::Proof& a, const wire::Proof& b);

}  // namespace benchfs
