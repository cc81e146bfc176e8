// The job's secret: reading and making its file, and HMAC-SHA256 by OpenSSL. A secret that others
// could have read or replaced proves nothing, so owner and mode are checked on the descriptor that
// the bytes then come from.
#include "base/secret.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<SecretError> refuse(Errc code, const std::string& path, std::string_view why) {
  return std::unexpected(SecretError{code, fmt::format("secret file {}: {}", path, why)});
}

std::unexpected<SecretError> refuse_errno(const std::string& path, int err) {
  return refuse(errc_from_errno(err), path, std::strerror(err));
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

void Secret::wipe() {
  if (!bytes_.empty()) OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::move(other.bytes_);
  }
  return *this;
}

Secret::~Secret() {
  wipe();
}

std::expected<Secret, SecretError> read_secret(const std::string& path) {
  // Not blocking, for the case that somebody put a FIFO there.
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ELOOP) return refuse(Errc::invalid, path, "is a symbolic link");
    return refuse_errno(path, errno);
  }
  struct stat st {};
  if (fstat(file.get(), &st) != 0) return refuse_errno(path, errno);
  if (!S_ISREG(st.st_mode)) return refuse(Errc::invalid, path, "is not a regular file");
  if (st.st_uid != geteuid())
    return refuse(Errc::access, path,
                  fmt::format("belongs to user {}, not to this user ({})", st.st_uid, geteuid()));
  if ((st.st_mode & 077) != 0)
    return refuse(Errc::access, path,
                  fmt::format("has mode {:04o}, but others must have no access: chmod 600",
                              st.st_mode & 07777));
  std::vector<std::byte> bytes(kSecretBytesMax + 1);
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n = read(file.get(), bytes.data() + got, bytes.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refuse_errno(path, errno);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  if (got < kSecretBytesMin || got > kSecretBytesMax) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return refuse(Errc::invalid, path,
                  fmt::format("has {} bytes; a secret has {} to {}",
                              got > kSecretBytesMax ? "too many" : fmt::format("{}", got),
                              kSecretBytesMin, kSecretBytesMax));
  }
  bytes.resize(got);
  return Secret(std::move(bytes));
}

std::expected<Secret, SecretError> read_or_create_secret(const std::string& path) {
  auto existing = read_secret(path);
  if (existing || existing.error().code != Errc::not_found) return existing;

  std::array<std::byte, 8> unique;
  std::vector<std::byte> fresh(kSecretBytesMin);
  if (!random_bytes(unique) || !random_bytes(fresh))
    return refuse(Errc::io, path, "no random numbers from the kernel");
  const Secret secret(std::move(fresh));
  const std::string temporary = fmt::format("{}.{}", path, to_hex(unique));
  int err = 0;
  {
    const Fd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return refuse_errno(path, errno);
    if (!write_all(file.get(), secret.bytes()) || fsync(file.get()) != 0) err = errno;
  }
  // link() fails if the name is taken: of many that race, one wins, and all read its file.
  if (err == 0 && link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) err = errno;
  unlink(temporary.c_str());
  if (err != 0) return refuse_errno(path, err);
  return read_secret(path);
}

Digest hmac_sha256(std::span<const std::byte> key,
                   std::initializer_list<std::span<const std::byte>> pieces) {
  using Mac = std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)>;
  using Context = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;
  const Mac mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr), &EVP_MAC_free);
  BFS_ASSERT(mac);
  const Context context(EVP_MAC_CTX_new(mac.get()), &EVP_MAC_CTX_free);
  BFS_ASSERT(context);
  char name[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                   OSSL_PARAM_construct_end()};
  // A key of no bytes is a key too, but a null pointer would mean "the key of the last time".
  static constexpr unsigned char kNoKey = 0;
  const auto* key_data = key.empty() ? &kNoKey : reinterpret_cast<const unsigned char*>(key.data());
  int ok = EVP_MAC_init(context.get(), key_data, key.size(), parameters);
  for (const auto piece : pieces) {
    if (ok == 1 && !piece.empty())
      ok = EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(piece.data()),
                          piece.size());
  }
  Digest digest{};
  std::size_t written = 0;
  if (ok == 1)
    ok = EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(digest.data()), &written,
                       digest.size());
  BFS_ASSERT(ok == 1 && written == digest.size());
  return digest;
}

bool equal_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Status random_bytes(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t n = getrandom(out.data(), out.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Errc::io, errno);
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace benchfs
