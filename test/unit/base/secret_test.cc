// The job's secret: whose file is trusted, creation among racing processes, and HMAC-SHA256.
#include "base/secret.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>

#include "base/text.hpp"

namespace benchfs {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

/// A directory of its own, gone at the end.
struct Directory {
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "benchfs-secret-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }

  std::string file(const std::string& content, mode_t mode) const {
    const std::string name = path / "secret";
    std::ofstream(name) << content;
    REQUIRE(chmod(name.c_str(), mode) == 0);
    return name;
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }

  std::filesystem::path path;
};

const std::string kGood(32, 's');

TEST_SUITE("secret") {
  TEST_CASE_FIXTURE(Directory, "read_secret: all bytes of a private file") {
    const auto secret = read_secret(file(kGood + "\n", 0600));
    REQUIRE(secret.has_value());
    CHECK(secret->bytes().size() == 33);
    CHECK(read_secret(file(kGood, 0400)).has_value());
  }

  TEST_CASE_FIXTURE(Directory, "read_secret: a file that others can read or write is refused") {
    for (const mode_t mode : {0640, 0604, 0660, 0620, 0644, 0610}) {
      const auto secret = read_secret(file(kGood, mode));
      REQUIRE_FALSE(secret.has_value());
      CHECK(secret.error().code == Errc::access);
      CHECK(secret.error().text.find((path / "secret").string()) != std::string::npos);
      CHECK(secret.error().text.find("chmod 600") != std::string::npos);
    }
  }

  TEST_CASE_FIXTURE(Directory, "read_secret: a file of another user is refused") {
    const std::string name = file(kGood, 0600);
    if (geteuid() != 0 || chown(name.c_str(), 12345, 12345) != 0) {
      MESSAGE("only root can give a file away: not tried");
      return;
    }
    const auto secret = read_secret(name);
    REQUIRE_FALSE(secret.has_value());
    CHECK(secret.error().code == Errc::access);
    CHECK(secret.error().text.find("belongs to user 12345") != std::string::npos);
  }

  TEST_CASE_FIXTURE(Directory, "read_secret: too short, too long, missing, or no plain file") {
    CHECK(read_secret(file(std::string(31, 'x'), 0600)).error().code == Errc::invalid);
    CHECK(read_secret(file(std::string(4096, 'x'), 0600)).has_value());
    CHECK(read_secret(file(std::string(4097, 'x'), 0600)).error().code == Errc::invalid);
    CHECK(read_secret((path / "none").string()).error().code == Errc::not_found);
    CHECK(read_secret(path.string()).error().code == Errc::invalid);
    std::filesystem::create_symlink(path / "secret", path / "link");
    CHECK(read_secret((path / "link").string()).error().code == Errc::invalid);
    REQUIRE(mkfifo((path / "fifo").c_str(), 0600) == 0);
    CHECK(read_secret((path / "fifo").string()).error().code == Errc::invalid);
  }

  TEST_CASE_FIXTURE(Directory, "read_or_create_secret: makes a private file once and keeps it") {
    const std::string name = (path / "secret").string();
    const auto made = read_or_create_secret(name);
    REQUIRE(made.has_value());
    CHECK(made->bytes().size() == 32);
    struct stat st {};
    REQUIRE(stat(name.c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == 0600);
    const auto again = read_or_create_secret(name);
    REQUIRE(again.has_value());
    CHECK(equal_constant_time(made->bytes(), again->bytes()));
    CHECK(entries() == 1);
    const auto other = read_or_create_secret((path / "other").string());
    CHECK_FALSE(equal_constant_time(made->bytes(), other->bytes()));
  }

  TEST_CASE_FIXTURE(Directory, "read_or_create_secret: a file that is not to be trusted stays") {
    const std::string name = file(kGood, 0644);
    CHECK(read_or_create_secret(name).error().code == Errc::access);
    CHECK(std::filesystem::file_size(name) == 32);
    CHECK(read_or_create_secret((path / "no" / "secret").string()).error().code == Errc::not_found);
  }

  TEST_CASE_FIXTURE(Directory, "read_or_create_secret: all that race for it get the same") {
    for (int round = 0; round < 20; ++round) {
      const std::string name = (path / ("race" + std::to_string(round))).string();
      std::vector<std::string> got(4);
      {
        std::vector<std::jthread> racers;
        for (auto& hex : got) {
          racers.emplace_back([&hex, &name] {
            const auto secret = read_or_create_secret(name);
            if (secret) hex = to_hex(secret->bytes());
          });
        }
      }
      REQUIRE(got[0].size() == 64);
      for (const auto& hex : got) REQUIRE(hex == got[0]);
    }
    CHECK(entries() == 20);
  }

  TEST_CASE("hmac_sha256: the vectors of RFC 4231") {
    const std::string key1(20, '\x0b');
    CHECK(to_hex(hmac_sha256(bytes_of(key1), {bytes_of("Hi There")})) ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    const std::string_view jefe = "what do ya want for nothing?";
    const std::string expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    CHECK(to_hex(hmac_sha256(bytes_of("Jefe"), {bytes_of(jefe)})) == expected);
    CHECK(to_hex(hmac_sha256(bytes_of("Jefe"), {bytes_of(jefe.substr(0, 5)), bytes_of(""),
                                                bytes_of(jefe.substr(5))})) == expected);
    const std::string key6(131, '\xaa');
    CHECK(
        to_hex(hmac_sha256(bytes_of(key6),
                           {bytes_of("Test Using Larger Than Block-Size Key - Hash Key First")})) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(to_hex(hmac_sha256({}, {})) ==
          "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  }

  TEST_CASE("equal_constant_time: bytes and lengths count") {
    CHECK(equal_constant_time(bytes_of("abc"), bytes_of("abc")));
    CHECK_FALSE(equal_constant_time(bytes_of("abc"), bytes_of("abd")));
    CHECK_FALSE(equal_constant_time(bytes_of("abc"), bytes_of("ab")));
    CHECK(equal_constant_time({}, {}));
  }

  TEST_CASE("Secret: moving it leaves nothing behind") {
    Secret a(std::vector<std::byte>(40, std::byte{1}));
    Secret b(std::move(a));
    CHECK(a.bytes().empty());
    Secret c(std::vector<std::byte>(33, std::byte{2}));
    c = std::move(b);
    CHECK(c.bytes().size() == 40);
    CHECK(b.bytes().empty());
  }

  TEST_CASE("random_bytes: fills all, differently each time") {
    std::vector<std::byte> a(1000), b(1000);
    REQUIRE(random_bytes(a));
    REQUIRE(random_bytes(b));
    CHECK(a != b);
    CHECK(std::count(a.begin() + 900, a.end(), std::byte{0}) < 20);
  }
}

}  // namespace
}  // namespace benchfs
