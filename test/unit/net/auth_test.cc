// The proofs of the handshake: the same inputs give the same proof everywhere, any other input
// another.
#include "net/auth.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "base/secret.hpp"

namespace benchfs {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

std::string hex(const wire::Proof& proof) {
  std::string text;
  for (const std::uint8_t byte : proof) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

wire::Nonce nonce_of(std::uint8_t first) {
  wire::Nonce nonce{};
  for (auto& byte : nonce) byte = first++;
  return nonce;
}

TEST_SUITE("auth") {
  // Made with Python's hmac and hashlib over the label, the nonces and the little-endian numbers.
  TEST_CASE("auth: proofs have golden values") {
    const Bytes secret(32, std::byte{1});
    CHECK(hex(hello_proof(secret, nonce_of(0), 0x1122, 0x3344, bytes_of("address"))) ==
          "37bef68b8319325ed1acf4a078b375d595d3e2bd7fa7ea458c0b46e837556cc3");
    CHECK(hex(session_proof(secret, Side::client, nonce_of(0), nonce_of(16), 0x1122)) ==
          "71d92e411328266ebbb0a8fc656913fd40fc9e4cef181a9bc144b0ca54395c6c");
    CHECK(hex(session_proof(secret, Side::server, nonce_of(0), nonce_of(16), 0x1122)) ==
          "f45c3d5404e27715554dc749e8fd9df33acd2314b38ce4fd59e6d96c28e7a647");
  }

  TEST_CASE("auth: every input of a proof counts") {
    const Bytes one(32, std::byte{1}), two(32, std::byte{2});
    std::set<std::string> proofs;
    proofs.insert(hex(hello_proof(one, nonce_of(0), 1, 2, bytes_of("a"))));
    proofs.insert(hex(hello_proof(two, nonce_of(0), 1, 2, bytes_of("a"))));
    proofs.insert(hex(hello_proof(one, nonce_of(1), 1, 2, bytes_of("a"))));
    proofs.insert(hex(hello_proof(one, nonce_of(0), 3, 2, bytes_of("a"))));
    proofs.insert(hex(hello_proof(one, nonce_of(0), 1, 3, bytes_of("a"))));
    proofs.insert(hex(hello_proof(one, nonce_of(0), 1, 2, bytes_of("b"))));
    proofs.insert(hex(hello_proof(one, nonce_of(0), 1, 2, {})));
    for (const Side side : {Side::client, Side::server}) {
      proofs.insert(hex(session_proof(one, side, nonce_of(0), nonce_of(1), 1)));
      proofs.insert(hex(session_proof(two, side, nonce_of(0), nonce_of(1), 1)));
      proofs.insert(hex(session_proof(one, side, nonce_of(1), nonce_of(0), 1)));
      proofs.insert(hex(session_proof(one, side, nonce_of(0), nonce_of(1), 2)));
    }
    CHECK(proofs.size() == 7 + 8);
  }

  TEST_CASE("auth: proofs are compared to the last byte") {
    const wire::Proof proof = session_proof(Bytes(32), Side::client, nonce_of(0), nonce_of(1), 1);
    CHECK(proofs_equal(proof, proof));
    for (const std::size_t at : {0u, 15u, 31u}) {
      wire::Proof other = proof;
      other[at] ^= 1;
      CHECK_FALSE(proofs_equal(proof, other));
    }
  }

  TEST_CASE("auth: nonces and random numbers do not repeat") {
    std::set<wire::Nonce> nonces;
    std::set<std::uint64_t> numbers;
    for (int i = 0; i < 1000; ++i) {
      nonces.insert(make_nonce());
      numbers.insert(random_u64());
    }
    CHECK(nonces.size() == 1000);
    CHECK(numbers.size() == 1000);
  }
}

}  // namespace
}  // namespace benchfs
