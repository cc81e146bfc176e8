// The io_uring on real files: data, errors, more operations than the ring has room for, registered
// buffers and their absence.
#include "loop/ring.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/hash.hpp"

namespace benchfs {
namespace {

using Bytes = std::vector<std::byte>;

/// An open file in the temporary directory, without a name.
struct File {
  File() {
    std::string name = (std::filesystem::temp_directory_path() / "benchfs-ring-XXXXXX").string();
    fd = mkostemp(name.data(), O_CLOEXEC);
    REQUIRE(fd >= 0);
    unlink(name.c_str());
  }
  ~File() { close(fd); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd = -1;
};

struct Fixture {
  explicit Fixture(unsigned entries = 256) {
    auto made = Loop::create({});
    REQUIRE(made);
    loop = std::move(*made);
    auto with_ring = Ring::create(*loop, {.entries = entries});
    REQUIRE(with_ring);
    ring = std::move(*with_ring);
  }
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Ring> ring;
};

Bytes pattern(std::size_t bytes, std::uint64_t seed) {
  Bytes data(bytes);
  SplitMix64 random(seed);
  for (auto& byte : data) byte = static_cast<std::byte>(random.below(256));
  return data;
}

Task<Result<std::size_t>> read_at(Ring& ring, int fd, std::span<std::byte> into,
                                  std::uint64_t offset) {
  const auto count = co_await ring.read(fd, into, offset);
  co_return count;
}
Task<Result<std::size_t>> write_at(Ring& ring, int fd, std::span<const std::byte> from,
                                   std::uint64_t offset) {
  const auto count = co_await ring.write(fd, from, offset);
  co_return count;
}
Task<Result<std::size_t>> sync(Ring& ring, int fd) {
  const auto done = co_await ring.fdatasync(fd);
  co_return done;
}

TEST_SUITE("ring") {
  TEST_CASE("ring: what was written is read back, after a sync") {
    Fixture f;
    const File file;
    const Bytes data = pattern(100'000, 1);
    CHECK(f.loop->run(write_at(*f.ring, file.fd, data, 4097)) == data.size());
    CHECK(f.loop->run(sync(*f.ring, file.fd)) == 0u);
    Bytes back(data.size());
    CHECK(f.loop->run(read_at(*f.ring, file.fd, back, 4097)) == back.size());
    CHECK(back == data);
    CHECK(f.ring->in_flight() == 0);
  }

  TEST_CASE("ring: a read at the end of the file is short, beyond it nothing") {
    Fixture f;
    const File file;
    const Bytes data = pattern(1000, 2);
    REQUIRE(f.loop->run(write_at(*f.ring, file.fd, data, 0)) == 1000u);
    Bytes back(4096);
    CHECK(f.loop->run(read_at(*f.ring, file.fd, back, 900)) == 100u);
    CHECK(f.loop->run(read_at(*f.ring, file.fd, back, 1000)) == 0u);
    CHECK(f.loop->run(read_at(*f.ring, file.fd, back, 1'000'000)) == 0u);
  }

  TEST_CASE("ring: a bad descriptor and a wrong mode are errors with their errno") {
    Fixture f;
    Bytes data(100);
    const auto bad = f.loop->run(read_at(*f.ring, 1'000'000, data, 0));
    REQUIRE_FALSE(bad);
    CHECK(bad.error().native == EBADF);
    CHECK_FALSE(f.loop->run(sync(*f.ring, -1)));
    const int read_only = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    REQUIRE(read_only >= 0);
    const auto refused = f.loop->run(write_at(*f.ring, read_only, data, 0));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().native == EBADF);
    close(read_only);
  }

  TEST_CASE("ring: a full device is no_space") {
    Fixture f;
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    REQUIRE(full >= 0);
    const Bytes data(100);
    const auto refused = f.loop->run(write_at(*f.ring, full, data, 0));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::no_space);
    close(full);
  }

  TEST_CASE("ring: more operations than it has entries wait for room, and all complete") {
    Fixture f(4);
    const Loop::Scope scope(*f.loop);
    const File file;
    constexpr std::size_t kOperations = 1000;
    constexpr std::size_t kBytes = 512;
    const Bytes data = pattern(kOperations * kBytes, 3);
    unsigned most = 0;
    std::vector<Task<Result<std::size_t>>> tasks;
    for (std::size_t i = 0; i < kOperations; ++i) {
      tasks.push_back(
          write_at(*f.ring, file.fd, std::span(data).subspan(i * kBytes, kBytes), i * kBytes));
      most = std::max(most, f.ring->in_flight());
    }
    CHECK(most >= 4);
    CHECK(most <= 8);  // the completion queue has twice the entries and must never overflow
    for (auto& task : tasks) CHECK(f.loop->run(std::move(task)) == kBytes);
    Bytes back(data.size());
    std::vector<Task<Result<std::size_t>>> reads;
    for (std::size_t i = 0; i < kOperations; ++i) {
      reads.push_back(
          read_at(*f.ring, file.fd, std::span(back).subspan(i * kBytes, kBytes), i * kBytes));
    }
    for (auto& task : reads) CHECK(f.loop->run(std::move(task)) == kBytes);
    CHECK(back == data);
  }

  TEST_CASE("ring: a completion ends the loop's sleep") {
    auto made = Loop::create({.spin_us = 0});
    REQUIRE(made);
    auto ring = Ring::create(**made, {});
    REQUIRE(ring);
    // A pipe that is filled later: the read is in flight while the loop sleeps.
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const pid_t child = fork();
    if (child == 0) {
      usleep(100'000);
      _exit(write(ends[1], "abc", 3) == 3 ? 0 : 1);
    }
    REQUIRE(child > 0);
    Bytes into(10);
    CHECK((*made)->run(read_at(**ring, ends[0], into, 0)) == 3u);
    CHECK((*made)->sleeps() >= 1);
    waitpid(child, nullptr, 0);
    close(ends[0]);
    close(ends[1]);
  }

  TEST_CASE("ring: an empty span is an operation like any other") {
    Fixture f;
    const File file;
    CHECK(f.loop->run(write_at(*f.ring, file.fd, {}, 0)) == 0u);
    CHECK(f.loop->run(read_at(*f.ring, file.fd, {}, 0)) == 0u);
  }
}

TEST_SUITE("registered buffer") {
  TEST_CASE("registered buffer: data inside, across its edge and outside of it is the same") {
    Fixture f;
    Bytes memory(64 * 1024);
    CHECK_FALSE(f.ring->has_registered_buffer());
    if (!f.ring->register_buffer(std::span(memory).first(32 * 1024))) {
      MESSAGE("this host's memlock limit forbids registered buffers");
      return;
    }
    CHECK(f.ring->has_registered_buffer());
    const File file;
    const Bytes data = pattern(memory.size(), 4);
    for (const std::size_t at : {0u, 1000u, 31u * 1024, 40u * 1024}) {
      CAPTURE(at);
      const auto part = std::span(memory).subspan(at, 8 * 1024);
      std::memcpy(part.data(), data.data() + at, part.size());
      CHECK(f.loop->run(write_at(*f.ring, file.fd, part, at)) == part.size());
      std::fill(part.begin(), part.end(), std::byte{0});
      CHECK(f.loop->run(read_at(*f.ring, file.fd, part, at)) == part.size());
      CHECK(std::memcmp(part.data(), data.data() + at, part.size()) == 0);
    }
  }

  TEST_CASE(
      "registered buffer: where memlock forbids it, the error is ENOMEM and the ring still works") {
    // In a child, as an ordinary user with a small limit; root is not limited.
    const pid_t child = fork();
    if (child == 0) {
      const rlimit small{64 * 1024, 64 * 1024};
      if (setrlimit(RLIMIT_MEMLOCK, &small) != 0) _exit(10);
      if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(11);
      auto loop = Loop::create({});
      if (!loop) _exit(12);
      auto ring = Ring::create(**loop, {.entries = 8});
      if (!ring) _exit(13);
      Bytes memory(1 << 20);
      const Status registered = (*ring)->register_buffer(memory);
      if (registered) _exit(14);
      if (registered.error().native != ENOMEM) _exit(15);
      if ((*ring)->has_registered_buffer()) _exit(16);
      const int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
      if (fd < 0) _exit(17);
      const auto written = (*loop)->run(write_at(**ring, fd, memory, 0));
      if (!written || *written != memory.size()) _exit(18);
      _exit(0);
    }
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

}  // namespace
}  // namespace benchfs
