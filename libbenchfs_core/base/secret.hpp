// The job's secret, which proves that a process belongs to the job, and what the proof is made
// with.
#pragma once
#include <array>
#include <cstddef>
#include <expected>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "base/status.hpp"

namespace benchfs {

/// Secret bytes; wiped when they are no longer needed. Move-only, never logged or sent.
class Secret {
 public:
  explicit Secret(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  Secret(Secret&& other) noexcept = default;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void wipe();
  std::vector<std::byte> bytes_;
};

/// An error with a text for the user; the text names the file.
struct SecretError {
  Errc code;
  std::string text;
};

inline constexpr std::size_t kSecretBytesMin = 32;
inline constexpr std::size_t kSecretBytesMax = 4096;

/// Reads a secret: all bytes of a regular file that belongs to this user, has no permissions for
/// anybody else and is 32 to 4096 bytes long. Errors: not_found, access (owner or mode), invalid
/// (kind of file or length), or that of the system call.
std::expected<Secret, SecretError> read_secret(const std::string& path);

/// Makes a file with 32 random bytes, mode 0600, and reads it back. It appears complete or not at
/// all; if there is one already, also by a process that does the same at this moment, that one is
/// read.
std::expected<Secret, SecretError> read_or_create_secret(const std::string& path);

using Digest = std::array<std::byte, 32>;

/// HMAC-SHA256 (RFC 2104, RFC 6234) of the pieces one after the other.
Digest hmac_sha256(std::span<const std::byte> key,
                   std::initializer_list<std::span<const std::byte>> pieces);

/// Equality in a time that depends on the lengths alone.
bool equal_constant_time(std::span<const std::byte> a, std::span<const std::byte> b);

/// Fills `out` from the kernel's random number generator.
Status random_bytes(std::span<std::byte> out);

}  // namespace benchfs
