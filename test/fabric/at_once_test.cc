// Small reads and writes that are moved without a task (transfer_at_once.cc): that they are, and
// that whatever is not so simple is left to others, with the same outcome.
#include <fcntl.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "client/capi.hpp"
#include "client/transfer.hpp"
#include "cluster.hpp"

namespace benchfs::test {
namespace {

using Bytes = std::vector<unsigned char>;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr auto kRead = Transfer::Direction::read;
constexpr auto kWrite = Transfer::Direction::write;

/// As the C interface tries it first.
bool at_once(benchfs_file_t* handle, Transfer::Direction direction, std::uint64_t offset,
             Bytes& memory) {
  OpenFile& file = *capi::file_of(handle);
  const Client::Lock lock(*file.client);
  const benchfs_extent extent{offset, memory.size()};
  return Transfer::at_once(*file.client, file, direction, extent, {memory.data(), memory.size()});
}

/// A server that counts what is left lends nothing meanwhile.
bool soon_written_at_once(benchfs_file_t* file, std::uint64_t offset, Bytes& memory) {
  for (int i = 0; i < 1000; ++i) {
    if (at_once(file, kWrite, offset, memory)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

/// The script by_messages.sh has these tests, too.
bool local() {
  const char* set = getenv("BENCHFS_LOCAL_ACCESS");
  return set == nullptr || std::string_view(set) != "false";
}

Bytes read_back(benchfs_file_t* file, std::uint64_t offset, std::size_t bytes) {
  Bytes back(bytes, 0xEE);
  const std::int64_t got = benchfs_pread(file, back.data(), bytes, offset);
  REQUIRE_MESSAGE(got >= 0, benchfs_error());
  back.resize(static_cast<std::size_t>(got));
  return back;
}

void write_all(benchfs_file_t* file, std::uint64_t offset, const Bytes& data) {
  const std::int64_t put = benchfs_pwrite(file, data.data(), data.size(), offset);
  REQUIRE_MESSAGE(put == static_cast<std::int64_t>(data.size()), benchfs_error());
}

struct benchfs_server_status status_of(benchfs_t* fs) {
  struct benchfs_server_status status {};
  REQUIRE(benchfs_server_status(fs, 0, &status) == 0);
  return status;
}

TEST_SUITE("at once") {
  TEST_CASE("at once: pieces of local files that are open, up to a whole stripe") {
    Cluster cluster(1);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, 2 * kMiB);
    Bytes model = pattern(6 * kMiB, 1);
    write_all(file, 0, model);
    CHECK(session.stat("/f").size == model.size());
    REQUIRE(benchfs_sync(file) == 0);
    OpenFile& own = *capi::file_of(file);
    CHECK_FALSE(own.dirty_servers[0]);
    const auto before = status_of(session);

    struct {
      std::uint64_t offset;
      std::size_t bytes;
    } const pieces[] = {{0, 1}, {4096, 4096}, {kMiB - 1, 1}, {kMiB, kMiB}, {5 * kMiB + 7, 100'000}};
    std::uint64_t moved = 0;
    for (const auto& piece : pieces) {
      CAPTURE(piece.offset);
      Bytes back(piece.bytes);
      REQUIRE(at_once(file, kRead, piece.offset, back) == local());
      if (local()) CHECK(std::memcmp(back.data(), &model[piece.offset], piece.bytes) == 0);
      Bytes changed = pattern(piece.bytes, piece.offset + 2);
      REQUIRE(soon_written_at_once(file, piece.offset, changed) == local());
      if (!local()) write_all(file, piece.offset, changed);
      std::memcpy(&model[piece.offset], changed.data(), piece.bytes);
      moved += piece.bytes;
      if (!local()) break;
    }
    const auto after = status_of(session);
    CHECK(after.written_bytes - before.written_bytes == moved);
    if (local()) {
      CHECK(after.read_bytes - before.read_bytes == moved);
      CHECK(after.requests - before.requests >= 2 * std::size(pieces));
    }
    CHECK(own.dirty_servers[0]);

    // Behind the end: the size is known to this session, and to others once it has been told.
    Bytes more = pattern(4096, 9);
    REQUIRE(soon_written_at_once(file, model.size(), more) == local());
    if (!local()) write_all(file, model.size(), more);
    model.insert(model.end(), more.begin(), more.end());
    CHECK(session.stat("/f").size == model.size());
    CHECK(benchfs_sync(file) == 0);
    CHECK_FALSE(own.dirty_servers[0]);
    CHECK(other.stat("/f").size == model.size());
    benchfs_file_t* same = other.open("/f", O_RDONLY);
    CHECK(read_back(same, 0, 7 * kMiB) == model);
    CHECK(benchfs_close(same) == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("at once: not across stripes and chunks, at holes and ends, or before a file is open") {
    Cluster cluster(1);
    Session session(cluster);
    for (const std::uint64_t chunk : {64 << 10, 4 << 20}) {
      CAPTURE(chunk);
      const std::uint64_t unit = std::min(chunk, kMiB);
      const std::string path = "/f" + std::to_string(chunk);
      benchfs_file_t* file = session.open(path, O_RDWR | O_CREAT, chunk);
      Bytes piece = pattern(4096, 3);
      for (int i = 0; i < 3; ++i) {  // too few to ask for a descriptor
        CHECK_FALSE(at_once(file, kWrite, 0, piece));
        write_all(file, 0, piece);
      }
      CHECK_FALSE(at_once(file, kRead, 0, piece));
      const Bytes start = pattern(3 * kMiB + 1000, 4);
      write_all(file, 0, start);
      CHECK(at_once(file, kRead, 0, piece) == local());
      // Of the four local files, 1 goes on at 9 MiB, behind a hole of its own.
      write_all(file, 9 * kMiB, piece);
      Bytes model = start;
      model.resize(9 * kMiB);
      model.insert(model.end(), piece.begin(), piece.end());

      const std::uint64_t elsewhere[] = {unit - 100,         start.size() - 100, 4 * kMiB, 5 * kMiB,
                                         model.size() - 100, model.size(),       10 * kMiB};
      for (const std::uint64_t offset : elsewhere) {
        CAPTURE(offset);
        const std::uint64_t end = std::min<std::uint64_t>(offset + piece.size(), model.size());
        const Bytes expected =
            offset < end ? Bytes(&model[offset], &model[offset] + (end - offset)) : Bytes();
        const bool moved = at_once(file, kRead, offset, piece);
        if (cluster.in_memory(0) || offset != 5 * kMiB) {
          CHECK_FALSE(moved);
        } else {
          CHECK(moved == local());
        }
        CHECK(read_back(file, offset, piece.size()) == expected);
      }
      Bytes nothing;
      CHECK_FALSE(at_once(file, kRead, 0, nothing));
      CHECK_FALSE(at_once(file, kWrite, 0, nothing));
      CHECK(benchfs_pread(file, nullptr, 0, 0) == 0);
      const Bytes across = pattern(4096, 5);
      write_all(file, unit - 1, across);
      std::memcpy(&model[unit - 1], across.data(), across.size());
      CHECK(read_back(file, 0, model.size() + 1) == model);
      CHECK(benchfs_close(file) == 0);
      CHECK(session.stat(path).size == model.size());
    }
  }

  TEST_CASE("at once: what an open file allows, asks for with each write, or counts for") {
    Cluster cluster(1);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/q", 0755) == 0);
    REQUIRE_MESSAGE(benchfs_quota_set(session, "/q", 3 * kMiB, 10) == 0, benchfs_error());
    const Bytes data = pattern(kMiB, 6);
    Bytes piece = pattern(4096, 7);
    for (const std::string path : {"/f", "/q/f"}) {
      CAPTURE(path);
      benchfs_file_t* file = session.open(path, O_RDWR | O_CREAT);
      write_all(file, 0, data);
      CHECK(read_back(file, 0, data.size()) == data);
      CHECK(at_once(file, kRead, 0, piece) == local());
      piece = pattern(4096, 7);
      CHECK(soon_written_at_once(file, 0, piece) == (local() && path == "/f"));
      write_all(file, 0, piece);
      CHECK(benchfs_close(file) == 0);
    }

    benchfs_file_t* reader = session.open("/f", O_RDONLY);
    CHECK(read_back(reader, 0, kMiB).size() == kMiB);
    CHECK(benchfs_pwrite(reader, piece.data(), piece.size(), 0) == -EBADF);
    CHECK(std::string(benchfs_error()) == "write benchfs:/f: not open for writing");
    benchfs_file_t* writer = session.open("/f", O_WRONLY);
    write_all(writer, 0, data);
    CHECK(benchfs_pread(writer, piece.data(), piece.size(), 0) == -EBADF);
    CHECK(std::string(benchfs_error()) == "read benchfs:/f: not open for reading");
    benchfs_file_t* durable = session.open("/f", O_RDWR | O_SYNC);
    write_all(durable, 0, data);
    CHECK(at_once(durable, kRead, 0, piece) == local());
    CHECK_FALSE(at_once(durable, kWrite, 0, piece));
    write_all(durable, 0, piece);
    CHECK_FALSE(capi::file_of(durable)->dirty_servers[0]);

    benchfs_file_t* log = session.open("/f", O_RDWR | O_APPEND);
    for (int i = 0; i < 8; ++i) CHECK(benchfs_write(log, piece.data(), piece.size()) == 4096);
    CHECK(session.stat("/f").size == kMiB + 8 * 4096);
    for (std::uint64_t i = 0; i < 8; ++i) CHECK(read_back(log, kMiB + i * 4096, 4096) == piece);
    for (benchfs_file_t* file : {reader, writer, durable, log}) CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("at once: a file that another session cuts or writes is seen as it is") {
    Cluster cluster(2);
    Session session(cluster);
    Session other(cluster);
    const Bytes data = pattern(8192, 8);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
    write_all(file, 0, pattern(100'000, 8));
    Bytes piece(8192);
    CHECK(at_once(file, kRead, 0, piece) == local());
    REQUIRE(benchfs_flush_size(file) == 0);
    REQUIRE(benchfs_truncate(other, "/f", 5000) == 0);
    CHECK_FALSE(at_once(file, kRead, 0, piece));
    CHECK(read_back(file, 0, piece.size()).size() == 5000);
    benchfs_file_t* same = other.open("/f", O_WRONLY);
    write_all(same, 0, data);
    CHECK(read_back(file, 0, piece.size()) == data);
    CHECK(at_once(file, kRead, 0, piece) == local());
    CHECK(benchfs_close(same) == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("at once: a full server is asked") {
    Cluster cluster(1, [](ServerConfig& config) { config.max_storage_bytes = 8 << 20; });
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
    const Bytes data = pattern(kMiB, 1);
    Bytes piece = pattern(4096, 2);
    write_all(file, 0, data);
    CHECK(soon_written_at_once(file, 0, piece) == local());
    std::int64_t result = 0;
    std::uint64_t stored = kMiB;
    for (; stored < 9 * kMiB; stored += piece.size()) {
      result = benchfs_pwrite(file, piece.data(), piece.size(), stored);
      if (result < 0) break;
    }
    CHECK(result == -ENOSPC);
    CHECK(stored <= 8 * kMiB);
    CHECK(stored > 7 * kMiB);
    CHECK_FALSE(at_once(file, kWrite, 0, piece));
    piece = pattern(4096, 3);
    write_all(file, 4096, piece);
    CHECK(at_once(file, kRead, 4096, piece) == local());
    CHECK(piece == pattern(4096, 3));
    CHECK(session.stat("/f").size == stored);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("at once: the files of a server that has stopped are left alone") {
    Cluster cluster(1);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
    write_all(file, 0, pattern(kMiB, 1));
    CHECK(benchfs_flush_size(file) == 0);
    Bytes piece(4096);
    CHECK(at_once(file, kRead, 0, piece) == local());
    cluster.stop();
    bool moved = true;
    for (int i = 0; i < 1000 && moved; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      moved = at_once(file, kRead, 0, piece);
    }
    CHECK_FALSE(moved);
    CHECK_FALSE(at_once(file, kWrite, 0, piece));
    const std::int64_t result = benchfs_pread(file, piece.data(), piece.size(), 0);
    CHECK((result == -EHOSTUNREACH || result == -ETIMEDOUT || result == -ESHUTDOWN));
    CHECK(benchfs_pwrite(file, piece.data(), piece.size(), 0) < 0);
    benchfs_close(file);
  }
}

}  // namespace
}  // namespace benchfs::test
