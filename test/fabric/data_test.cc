// Reads and writes through real servers: contiguous, lists, holes, ends of files, sizes, random I/O
// against a reference, nonblocking, several threads.
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "base/hash.hpp"
#include "cluster.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

TEST_SUITE("data") {
  TEST_CASE("data: a server that has stopped is noticed by who still has its files open") {
    Cluster cluster(1);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    const auto data = pattern(1 << 20, 1);
    const auto bytes = static_cast<std::int64_t>(data.size());
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == bytes);
    cluster.stop();
    std::int64_t result = bytes;
    for (int i = 0; i < 100 && result == bytes; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      result = benchfs_pwrite(file, data.data(), data.size(), 0);
    }
    CHECK((result == -EHOSTUNREACH || result == -ETIMEDOUT || result == -ESHUTDOWN));
    CHECK(benchfs_pread(file, std::vector<char>(10).data(), 10, 0) < 0);
    CHECK(benchfs_close(file) < 0);  // its size was never told
  }

  TEST_CASE("data: what one session writes another reads, across chunks and servers") {
    Cluster cluster(3);
    Session writer(cluster);
    Session reader(cluster);
    benchfs_file_t* out = writer.open("/f", O_WRONLY | O_CREAT, kChunk);
    benchfs_file_t* in = reader.open("/f", O_RDONLY);
    CHECK(benchfs_chunk_bytes(in) == kChunk);
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{7}, std::size_t{4095},
                                    std::size_t{65536}, std::size_t{5'000'001}}) {
      CAPTURE(bytes);
      const auto data = pattern(bytes, bytes);
      const std::uint64_t offset = bytes / 3;
      REQUIRE(benchfs_pwrite(out, data.data(), bytes, offset) == static_cast<std::int64_t>(bytes));
      std::vector<unsigned char> back(bytes);
      REQUIRE(benchfs_pread(in, back.data(), bytes, offset) == static_cast<std::int64_t>(bytes));
      CHECK(std::memcmp(back.data(), data.data(), bytes) == 0);
    }
    CHECK(benchfs_close(in) == 0);
    CHECK(benchfs_close(out) == 0);
    CHECK(writer.stat("/f").size == 5'000'001 / 3 + 5'000'001);
  }

  TEST_CASE(
      "data: a read is short at the end of the file, and leaves the rest of the buffer alone") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_pwrite(file, "hello", 5, 0) == 5);
    char back[16];
    std::memset(back, 'x', sizeof(back));
    CHECK(benchfs_pread(file, back, sizeof(back), 2) == 3);
    CHECK(std::string_view(back, 4) == "llox");
    CHECK(benchfs_pread(file, back, sizeof(back), 5) == 0);
    CHECK(benchfs_pread(file, back, sizeof(back), 10 * kChunk) == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE(
      "data: holes are zeros, wherever they lie, and a list read counts what is before the end") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    const auto data = pattern(100, 1);
    REQUIRE(benchfs_pwrite(file, data.data(), 100, 5 * kChunk + 50) == 100);
    std::vector<unsigned char> back(6 * kChunk, 0xee);
    REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) ==
            static_cast<std::int64_t>(5 * kChunk + 150));
    CHECK(std::all_of(back.begin(), back.begin() + 5 * kChunk + 50,
                      [](auto byte) { return byte == 0; }));
    CHECK(std::memcmp(back.data() + 5 * kChunk + 50, data.data(), 100) == 0);
    CHECK(back[5 * kChunk + 150] == 0xee);

    const benchfs_extent extents[] = {
        {10, 20}, {5 * kChunk + 140, 20}, {9 * kChunk, 5}, {kChunk - 3, 6}};
    std::fill(back.begin(), back.end(), 0xee);
    const iovec memory[] = {{back.data(), 7}, {back.data() + 100, 44}};
    CHECK(benchfs_read_list(file, extents, 4, memory, 2) == 20 + 10 + 0 + 6);
    CHECK(std::all_of(back.begin(), back.begin() + 7, [](auto byte) { return byte == 0; }));
    CHECK(std::all_of(back.begin() + 100, back.begin() + 113, [](auto byte) { return byte == 0; }));
    CHECK(std::memcmp(back.data() + 113, data.data() + 90, 10) == 0);
    CHECK(back[123] == 0xee);
    CHECK(std::all_of(back.begin() + 138, back.begin() + 144, [](auto byte) { return byte == 0; }));
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("data: a hole that was read is seen to be filled at once, whoever fills it") {
    Cluster cluster(2);
    Session writer(cluster);
    Session reader(cluster);
    constexpr std::uint64_t kStep = 1 << 20;
    benchfs_file_t* out = writer.open("/f", O_RDWR | O_CREAT, kChunk);
    benchfs_file_t* in = reader.open("/f", O_RDONLY);
    REQUIRE(benchfs_ftruncate(out, 64 * kStep) == 0);
    const auto data = pattern(kChunk, 3);
    std::vector<unsigned char> back(kChunk);
    for (std::uint64_t i = 0; i < 64; ++i) {
      CAPTURE(i);
      const std::uint64_t offset = (i * 37 % 64) * kStep;
      for (int again = 0; again < 2; ++again) {
        REQUIRE(benchfs_pread(in, back.data(), kChunk, offset) == kChunk);
        REQUIRE(std::count(back.begin(), back.end(), 0) == kChunk);
      }
      // Small ones go by messages at first, and both ways fill holes.
      const std::size_t bytes = i % 2 == 0 ? kChunk : 100;
      REQUIRE(benchfs_pwrite(out, data.data(), bytes, offset) == static_cast<std::int64_t>(bytes));
      REQUIRE(benchfs_pread(in, back.data(), bytes, offset) == static_cast<std::int64_t>(bytes));
      REQUIRE(std::memcmp(back.data(), data.data(), bytes) == 0);
    }
    CHECK(benchfs_close(in) == 0);
    CHECK(benchfs_close(out) == 0);
  }

  TEST_CASE("data: arguments that do not fit are refused with a text that names the file") {
    Cluster cluster(1);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDONLY | O_CREAT);
    char byte = 0;
    CHECK(benchfs_pwrite(file, &byte, 1, 0) == -EBADF);
    CHECK(std::string_view(benchfs_error()).find("/f") != std::string_view::npos);
    const benchfs_extent extent{0, 2};
    const iovec memory{&byte, 1};
    CHECK(benchfs_read_list(file, &extent, 1, &memory, 1) == -EINVAL);
    CHECK(benchfs_pread(file, &byte, 1, std::uint64_t{1} << 63) == -EFBIG);
    CHECK(benchfs_pread(file, &byte, 0, 0) == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("data: truncate cuts on every server, growing gives zeros, extend never shortens") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    const auto data = pattern(10 * kChunk, 2);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) ==
            static_cast<std::int64_t>(data.size()));
    REQUIRE(benchfs_ftruncate(file, 100) == 0);
    CHECK(other.stat("/f").size == 100);
    REQUIRE(benchfs_ftruncate(file, 10 * kChunk) == 0);
    std::vector<unsigned char> back(10 * kChunk, 0xee);
    REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) ==
            static_cast<std::int64_t>(back.size()));
    CHECK(std::memcmp(back.data(), data.data(), 100) == 0);
    CHECK(std::all_of(back.begin() + 100, back.end(), [](auto byte) { return byte == 0; }));
    REQUIRE(benchfs_extend(file, 5) == 0);
    CHECK(other.stat("/f").size == 10 * kChunk);
    REQUIRE(benchfs_extend(file, 11 * kChunk) == 0);
    CHECK(other.stat("/f").size == 11 * kChunk);
    CHECK(benchfs_close(file) == 0);
    CHECK(other.stat("/f").size == 11 * kChunk);
  }

  TEST_CASE("data: random reads, writes and truncates agree with a reference") {
    Cluster cluster(3);
    Session session(cluster);
    const std::uint64_t seed = 20261121;
    CAPTURE(seed);
    SplitMix64 random(seed);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    std::vector<unsigned char> model;
    constexpr std::uint32_t kEnd = 12 * kChunk;
    for (int step = 0; step < 600; ++step) {
      CAPTURE(step);
      const std::uint32_t kind = random.below(10);
      if (kind == 0) {
        const std::uint64_t size = random.below(kEnd);
        REQUIRE(benchfs_ftruncate(file, size) == 0);
        model.resize(size, 0);
        continue;
      }
      // A list of disjoint extents in random order, with memory cut elsewhere.
      std::vector<benchfs_extent> extents;
      std::uint64_t at = random.below(kEnd / 2);
      std::size_t total = 0;
      for (std::uint32_t n = 1 + random.below(random.below(4) == 0 ? 400 : 3); n > 0; --n) {
        const std::uint64_t bytes = random.below(random.below(8) == 0 ? 200'000 : 500);
        if (at + bytes > kEnd) break;
        extents.push_back({at, bytes});
        total += bytes;
        at += bytes + random.below(3) * random.below(2000);
      }
      for (std::size_t i = extents.size(); i > 1; --i) {
        std::swap(extents[i - 1], extents[random.below(static_cast<std::uint32_t>(i))]);
      }
      auto buffer = pattern(total, static_cast<std::uint64_t>(step));
      std::vector<iovec> memory;
      for (std::size_t done = 0; done < total;) {
        const std::size_t bytes = std::min<std::size_t>(total - done, 1 + random.below(70'000));
        memory.push_back({buffer.data() + done, bytes});
        done += bytes;
      }
      if (kind < 6) {
        REQUIRE(benchfs_write_list(file, extents.data(), extents.size(), memory.data(),
                                   memory.size()) == static_cast<std::int64_t>(total));
        std::size_t from = 0;
        for (const auto& extent : extents) {
          if (extent.bytes == 0) continue;
          if (model.size() < extent.offset + extent.bytes)
            model.resize(extent.offset + extent.bytes, 0);
          std::copy_n(buffer.begin() + static_cast<std::ptrdiff_t>(from), extent.bytes,
                      model.begin() + static_cast<std::ptrdiff_t>(extent.offset));
          from += extent.bytes;
        }
      } else {
        auto expected = buffer;
        std::size_t from = 0;
        std::int64_t count = 0;
        for (const auto& extent : extents) {
          for (std::uint64_t i = 0; i < extent.bytes; ++i, ++from) {
            if (extent.offset + i >= model.size()) continue;
            expected[from] = model[extent.offset + i];
            ++count;
          }
        }
        REQUIRE(benchfs_read_list(file, extents.data(), extents.size(), memory.data(),
                                  memory.size()) == count);
        REQUIRE(buffer == expected);
      }
    }
    CHECK(benchfs_close(file) == 0);
    CHECK(session.stat("/f").size == model.size());
  }

  TEST_CASE("data: requests run side by side and end through test and wait") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    constexpr int kRequests = 20;
    constexpr std::size_t kBytes = 3 * kChunk + 17;
    std::vector<std::vector<unsigned char>> data;
    std::vector<benchfs_request_t*> requests(kRequests);
    for (int i = 0; i < kRequests; ++i) {
      data.push_back(pattern(kBytes, static_cast<std::uint64_t>(i)));
      const benchfs_extent extent{static_cast<std::uint64_t>(i) * kBytes, kBytes};
      const iovec memory{data.back().data(), kBytes};
      REQUIRE(benchfs_write_list_start(file, &extent, 1, &memory, 1, &requests[i]) == 0);
    }
    CHECK(benchfs_close(file) == -EBUSY);
    CHECK(benchfs_disconnect(session) == -EBUSY);
    for (int i = kRequests - 1; i >= 0; --i) {
      std::int64_t result = -1;
      if (i % 2 == 0) {
        while (benchfs_test(requests[i], &result) == 0) {
        }
      } else {
        result = benchfs_wait(requests[i]);
      }
      CHECK(result == static_cast<std::int64_t>(kBytes));
    }
    std::vector<unsigned char> back(kBytes);
    for (int i = 0; i < kRequests; ++i) {
      REQUIRE(benchfs_pread(file, back.data(), kBytes, static_cast<std::uint64_t>(i) * kBytes) ==
              static_cast<std::int64_t>(kBytes));
      CHECK(back == data[static_cast<std::size_t>(i)]);
    }
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE(
      "data: with a progress thread requests complete without a call, else they wait for one") {
    for (const bool with_thread : {true, false}) {
      CAPTURE(with_thread);
      Cluster cluster(2);
      Session reader(cluster);
      setenv("BENCHFS_PROGRESS_THREAD", with_thread ? "true" : "false", 1);
      Session writer(cluster);
      unsetenv("BENCHFS_PROGRESS_THREAD");
      benchfs_file_t* out = writer.open("/f", O_RDWR | O_CREAT, 1 << 20);
      benchfs_file_t* in = reader.open("/f", O_RDONLY);
      // More than is ever sent at once, several times.
      const auto data = pattern(64 << 20, 1);
      const auto bytes = static_cast<std::int64_t>(data.size());
      for (int round = 0; round < 3; ++round) {
        const std::uint64_t offset = static_cast<std::uint64_t>(round) * data.size();
        const benchfs_extent extent{offset, data.size()};
        const iovec memory{const_cast<unsigned char*>(data.data()), data.size()};
        benchfs_request_t* request = nullptr;
        REQUIRE(benchfs_write_list_start(out, &extent, 1, &memory, 1, &request) == 0);
        // The other session sees all of it.
        std::vector<unsigned char> back(data.size());
        bool seen = false;
        const auto patience = std::chrono::milliseconds(with_thread ? 20'000 : 300);
        const auto start = std::chrono::steady_clock::now();
        while (!seen && std::chrono::steady_clock::now() - start < patience) {
          seen = benchfs_pread(in, back.data(), back.size(), offset) == bytes && back == data;
        }
        CHECK(seen == with_thread);
        CHECK(benchfs_wait(request) == bytes);
      }
      CHECK(benchfs_close(in) == 0);
      CHECK(benchfs_close(out) == 0);
    }
  }

  TEST_CASE("data: threads share a session and none of them waits for ever") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < 100; ++i) {
          const auto data = pattern(10'000 + 100 * i, 1000 * t + i);
          std::vector<unsigned char> back(data.size());
          const std::uint64_t offset = t * 4 * kChunk + i;
          const bool moved = benchfs_pwrite(file, data.data(), data.size(), offset) > 0 &&
                             benchfs_pread(file, back.data(), back.size(), offset) ==
                                 static_cast<std::int64_t>(back.size());
          if (!moved || back != data) ++wrong;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(benchfs_close(file) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
