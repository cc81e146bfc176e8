// Frames of the bootstrap port: what a valid one is, and the proofs. A proof covers every field
// that is acted on, each piece of fixed width but the payload, which comes last: no two messages
// read alike.
#include "net/bootstrap_protocol.hpp"

#include "base/secret.hpp"

namespace benchfs::bootstrap {
namespace {

wire::Proof prove(std::string_view secret,
                  std::initializer_list<std::span<const std::byte>> pieces) {
  const Digest digest = hmac_sha256(bytes_of(secret), pieces);
  wire::Proof proof;
  static_assert(sizeof(proof) == sizeof(digest));
  std::memcpy(proof.data(), digest.data(), sizeof(proof));
  return proof;
}

}  // namespace

const char* defect(const Banner& banner) {
  if (banner.magic != kMagic) return "it is not a BenchFS server";
  if (banner.version != kVersion) return "it speaks another version of the bootstrap protocol";
  if (banner.zero != 0) return "malformed banner";
  return nullptr;
}

const char* defect(const Request& request) {
  if (request.magic != kMagic) return "not a BenchFS request";
  if (request.version != kVersion) return "another version of the bootstrap protocol";
  if (request.op == 0 || request.op > kOpMax) return "an unknown operation";
  if (request.zero != 0) return "a malformed request";
  if (request.payload_bytes > kRequestPayloadMax) return "a payload that is too large";
  return nullptr;
}

const char* defect(const Reply& reply) {
  if (reply.magic != kMagic || reply.zero != 0 || reply.zero2 != 0) return "malformed reply";
  if (reply.payload_bytes > kReplyPayloadMax) return "a reply that is too large";
  return nullptr;
}

wire::Proof request_proof(std::string_view secret, const wire::Nonce& server_nonce,
                          const Request& request, std::string_view payload) {
  return prove(secret, {bytes_of(std::string_view("benchfs-bootstrap")), bytes_of(server_nonce),
                        bytes_of(request.nonce), bytes_of(request.op), bytes_of(payload)});
}

wire::Proof reply_proof(std::string_view secret, const wire::Nonce& server_nonce,
                        const Request& request, const Reply& reply, std::string_view payload) {
  return prove(secret, {bytes_of(std::string_view("benchfs-bootstrap-reply")),
                        bytes_of(server_nonce), bytes_of(request.nonce), bytes_of(request.op),
                        bytes_of(reply.status), bytes_of(payload)});
}

}  // namespace benchfs::bootstrap
