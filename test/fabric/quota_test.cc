// Quotas through real servers and sessions: limits, who counts for what, moving between them,
// freeing, restarts, many at once.
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cluster.hpp"
#include "loop/loop.hpp"
#include "loop/offload.hpp"
#include "metadata/meta_store.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kMi = 1 << 20;
constexpr std::uint64_t kChunk = kMi;
constexpr std::int64_t kPiece = 64 << 10;

using Quota = struct benchfs_quota;

Quota quota_of(benchfs_t* fs, const char* path) {
  Quota quota{};
  const int error = benchfs_quota_get(fs, path, &quota);
  REQUIRE_MESSAGE(error == 0, benchfs_error());
  return quota;
}
void set_quota(benchfs_t* fs, const char* path, std::uint64_t bytes, std::uint64_t files) {
  const int error = benchfs_quota_set(fs, path, bytes, files);
  REQUIRE_MESSAGE(error == 0, benchfs_error());
}
/// 0 or the error.
int create(benchfs_t* fs, const std::string& path) {
  benchfs_file_t* file = nullptr;
  const int error = benchfs_open(fs, path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644, kChunk, &file);
  return error != 0 ? error : benchfs_close(file);
}
/// Removed data goes a moment later.
bool soon_used(benchfs_t* fs, const char* path, std::uint64_t bytes) {
  for (int i = 0; i < 10'000; ++i) {
    if (quota_of(fs, path).bytes_used == bytes) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST_SUITE("quota") {
  TEST_CASE("quota: files of every kind count, up to the limit, and are free again") {
    for (const int count : {1, 3}) {
      Cluster cluster(count);
      Session session(cluster);
      REQUIRE(benchfs_mkdir(session, "/d", 0750) == 0);
      REQUIRE(benchfs_setxattr(session, "/d", "user.of", "me", 2, 0) == 0);
      set_quota(session, "/d", 0, 10);
      CHECK((session.stat("/d").mode & 07777) == 0750);  // what it was before
      char value[8];
      CHECK(benchfs_getxattr(session, "/d", "user.of", value, sizeof(value), 0) == 2);
      CHECK(quota_of(session, "/d").files_used == 0);
      CHECK(benchfs_mkdir(session, "/d/sub", 0755) == 0);
      CHECK(benchfs_symlink(session, "sub", "/d/link") == 0);
      for (int i = 0; i < 8; ++i) {
        const std::string name = (i % 2 == 0 ? "/d/sub/f" : "/d/link/f") + std::to_string(i);
        const int error = create(session, name);
        CHECK_MESSAGE(error == 0, benchfs_error());
      }
      CHECK(create(session, "/d/more") == -EDQUOT);
      CHECK(std::string(benchfs_error()).starts_with("open benchfs:/d/more: server s"));
      CHECK(std::string(benchfs_error()).ends_with("quota exceeded"));
      CHECK(benchfs_mkdir(session, "/d/more", 0755) == -EDQUOT);
      CHECK(benchfs_symlink(session, "x", "/d/sub/more") == -EDQUOT);
      CHECK(create(session, "/elsewhere") == 0);
      // What is there can be opened, renamed, given more names, written and removed.
      benchfs_file_t* file = session.open("/d/sub/f0", O_RDWR | O_CREAT);
      CHECK(benchfs_pwrite(file, "x", 1, 0) == 1);
      CHECK(benchfs_close(file) == 0);
      CHECK(benchfs_link(session, "/d/sub/f0", "/d/again") == 0);
      CHECK(benchfs_rename(session, "/d/sub/f1", "/d/f1", 0) == 0);
      CHECK(quota_of(session, "/d/f1").files_used == 10);
      CHECK(benchfs_unlink(session, "/d/f1") == 0);
      CHECK(create(session, "/d/more") == 0);
      CHECK(create(session, "/d/evenmore") == -EDQUOT);
      CHECK(benchfs_unlink(session, "/d/more") == 0);
      CHECK(benchfs_mkdir(session, "/d/more", 0755) == 0);
      CHECK(benchfs_rmdir(session, "/d/more") == 0);
      CHECK(benchfs_unlink(session, "/d/again") == 0);  // one of two names
      CHECK(quota_of(session, "/d").files_used == 9);
      CHECK(benchfs_symlink(session, "x", "/d/sub/more") == 0);
    }
  }

  TEST_CASE("quota: bytes up to the limit; holes, overwriting and removing") {
    for (const int count : {1, 3}) {
      Cluster cluster(count);
      Session session(cluster);
      REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
      set_quota(session, "/d", 4 * kMi, 0);
      const auto data = pattern(4 * kMi, 1);
      benchfs_file_t* file = session.open("/d/f", O_RDWR | O_CREAT, kChunk);
      CHECK(benchfs_local_access(file) == 0);  // the server admits what is written
      for (std::uint64_t at = 0; at < 4 * kMi; at += kPiece) {
        REQUIRE(benchfs_pwrite(file, data.data() + at, kPiece, at) == kPiece);
      }
      CHECK(quota_of(session, "/d").bytes_used == 4 * kMi);
      CHECK(benchfs_pwrite(file, data.data(), 1, 4 * kMi) == -EDQUOT);
      CHECK(std::string(benchfs_error()).starts_with("write benchfs:/d/f: server s"));
      CHECK(benchfs_pwrite(file, data.data(), data.size(), 1 << 30) == -EDQUOT);
      CHECK(benchfs_fallocate(file, 0, 5 * kMi, kPiece) == -EDQUOT);
      CHECK(benchfs_pwrite(file, data.data(), data.size(), 0) == 4 * kMi);
      CHECK(benchfs_ftruncate(file, 1 << 30) == 0);  // a hole
      std::vector<unsigned char> back(4 * kMi);
      REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) == 4 * kMi);
      CHECK(back == data);
      REQUIRE(benchfs_ftruncate(file, 3 * kMi) == 0);
      CHECK(soon_used(session, "/d", 3 * kMi));
      CHECK(benchfs_fallocate(file, 0, 5 * kMi, kMi) == 0);
      CHECK(quota_of(session, "/d").bytes_used == 4 * kMi);
      CHECK(benchfs_fallocate(file, 0, 8 * kMi, kMi) == -EDQUOT);
      CHECK(benchfs_fallocate(file, BENCHFS_FALLOC_PUNCH_HOLE | BENCHFS_FALLOC_KEEP_SIZE, 0, kMi) ==
            0);
      CHECK(soon_used(session, "/d", 3 * kMi));
      CHECK(benchfs_close(file) == 0);
      CHECK(benchfs_unlink(session, "/d/f") == 0);
      file = session.open("/d/g", O_RDWR | O_CREAT, kChunk);
      for (int i = 0; i < 4; ++i) {  // room that has just been made is there
        CHECK(benchfs_pwrite(file, data.data(), data.size(), 0) == 4 * kMi);
        CHECK(benchfs_close(file) == 0);
        CHECK(benchfs_unlink(session, "/d/g") == 0);
        file = session.open("/d/g", O_RDWR | O_CREAT, kChunk);
      }
      CHECK(benchfs_close(file) == 0);
      CHECK(soon_used(session, "/d", 0));
    }
  }

  TEST_CASE("quota: moving and linking stay within it") {
    Cluster cluster(3);
    Session session(cluster);
    for (const char* path : {"/a", "/b", "/c"}) REQUIRE(benchfs_mkdir(session, path, 0755) == 0);
    set_quota(session, "/a", 0, 100);
    set_quota(session, "/b", 0, 100);
    for (const char* path : {"/a/d", "/c/d"}) REQUIRE(benchfs_mkdir(session, path, 0755) == 0);
    for (const char* path : {"/a/f", "/c/f"}) REQUIRE(create(session, path) == 0);
    CHECK(benchfs_rename(session, "/a/f", "/b/f", 0) == -EXDEV);
    CHECK(std::string(benchfs_error()).find("counts for another quota") != std::string::npos);
    CHECK(benchfs_rename(session, "/a/f", "/c/g", 0) == -EXDEV);
    CHECK(benchfs_rename(session, "/c/f", "/a/g", 0) == -EXDEV);
    CHECK(benchfs_rename(session, "/c/d", "/a/e", 0) == -EXDEV);
    CHECK(benchfs_rename(session, "/a/f", "/c/f", BENCHFS_RENAME_EXCHANGE) == -EXDEV);
    CHECK(benchfs_link(session, "/a/f", "/c/g") == -EXDEV);
    CHECK(benchfs_link(session, "/c/f", "/a/g") == -EXDEV);
    CHECK(benchfs_link(session, "/a/f", "/a/d/g") == 0);
    CHECK(benchfs_rename(session, "/a/f", "/a/d/f", 0) == 0);
    // The directory itself goes anywhere that has none.
    CHECK(benchfs_rename(session, "/a", "/c/a", 0) == 0);
    CHECK(quota_of(session, "/c/a").files_used == 2);
    CHECK(benchfs_rename(session, "/b", "/c/a/b", 0) == -EXDEV);
    CHECK(create(session, "/c/a/more") == 0);
    CHECK(quota_of(session, "/c/a/d").files_used == 3);
    Quota none{};
    CHECK(benchfs_quota_get(session, "/c", &none) == -ENODATA);
    CHECK(std::string(benchfs_error()) ==
          "quota get benchfs:/c: it is below no directory with a quota");
  }

  TEST_CASE("quota: where one can be begun, changed and ended") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    REQUIRE(create(session, "/d/f") == 0);
    CHECK(benchfs_quota_set(session, "/d", kMi, 0) == -ENOTEMPTY);
    CHECK(std::string(benchfs_error()) ==
          "quota set benchfs:/d: a quota is begun on an empty directory");
    CHECK(benchfs_quota_set(session, "/d/f", kMi, 0) == -ENOTDIR);
    CHECK(benchfs_quota_set(session, "/", kMi, 0) == -EBUSY);
    CHECK(benchfs_quota_set(session, "/none", kMi, 0) == -ENOENT);
    CHECK(benchfs_quota_set(session, "/d", 0, 0) == -EINVAL);
    CHECK(benchfs_quota_set(session, "/d", BENCHFS_QUOTA_KEEP, BENCHFS_QUOTA_KEEP) == -EINVAL);
    CHECK(benchfs_quota_remove(session, "/d") == -ENODATA);
    REQUIRE(benchfs_unlink(session, "/d/f") == 0);
    REQUIRE(benchfs_symlink(session, "d", "/link") == 0);
    set_quota(session, "/link", kMi, BENCHFS_QUOTA_KEEP);
    CHECK(session.stat("/link").inode == session.stat("/d").inode);
    CHECK(quota_of(session, "/d").bytes_limit == kMi);
    REQUIRE(create(session, "/d/f") == 0);
    set_quota(session, "/d", BENCHFS_QUOTA_KEEP, 7);  // not empty any more
    CHECK(quota_of(session, "/d").bytes_limit == kMi);
    CHECK(quota_of(session, "/d").files_limit == 7);
    // One below another: the nearer counts.
    REQUIRE(benchfs_mkdir(session, "/d/e", 0755) == 0);
    set_quota(session, "/d/e", 0, 2);
    CHECK(quota_of(session, "/d").files_used == 1);
    CHECK(create(session, "/d/e/1") == 0);
    CHECK(create(session, "/d/e/2") == 0);
    CHECK(create(session, "/d/e/3") == -EDQUOT);
    CHECK(quota_of(session, "/d").files_used == 1);
    CHECK(benchfs_quota_remove(session, "/d/e") == 0);
    Quota none{};
    CHECK(benchfs_quota_get(session, "/d/e", &none) == -ENODATA);
    CHECK(create(session, "/d/e/3") == 0);
    set_quota(session, "/d/e", 0, 3);
    CHECK(quota_of(session, "/d/e").files_used == 3);
    CHECK(create(session, "/d/e/4") == -EDQUOT);
    for (const char* path : {"/d/e/1", "/d/e/2", "/d/e/3"}) {
      CHECK(benchfs_unlink(session, path) == 0);
    }
    CHECK(benchfs_rmdir(session, "/d/e") == 0);
    struct benchfs_dirent entry {};
    benchfs_dir_t* root = nullptr;
    REQUIRE(benchfs_opendir(session, "/", 0, &root) == 0);
    while (benchfs_readdir(root, &entry) == 1) CHECK(entry.name[0] != '.');  // nothing is left
    CHECK(benchfs_closedir(root) == 0);
  }

  TEST_CASE("quota: statfs of a path is that of its quota") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    struct benchfs_statfs all {
    }, space{};
    REQUIRE(benchfs_statfs(session, &all) == 0);
    REQUIRE(benchfs_path_statfs(session, "/d", &space) == 0);
    CHECK(space.total_bytes == all.total_bytes);
    set_quota(session, "/d", 8 * kMi, 10);
    const auto data = pattern(kMi, 1);
    benchfs_file_t* file = session.open("/d/f", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == kMi);
    CHECK(benchfs_close(file) == 0);
    REQUIRE(benchfs_path_statfs(session, "/d/f", &space) == 0);
    CHECK(space.total_bytes == 8 * kMi);
    CHECK(space.free_bytes == 7 * kMi);
    CHECK(space.available_bytes == 7 * kMi);
    CHECK(space.stored_bytes == kMi);
    CHECK(space.files == 1);
    CHECK(space.free_files == 9);
    CHECK(benchfs_path_statfs(session, "/none", &space) == -ENOENT);
  }

  TEST_CASE("quota: limits and use are true after a restart") {
    Cluster cluster(3);
    {
      Session session(cluster);
      REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
      set_quota(session, "/d", 2 * kMi, 5);
      const auto data = pattern(kMi, 1);
      benchfs_file_t* file = session.open("/d/f", O_RDWR | O_CREAT, kChunk);
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == kMi);
      CHECK(benchfs_close(file) == 0);
      for (int i = 0; i < 3; ++i) REQUIRE(create(session, "/d/" + std::to_string(i)) == 0);
    }
    cluster.stop();
    cluster.start();
    Session session(cluster);
    const Quota quota = quota_of(session, "/d");
    CHECK(quota.bytes_limit == 2 * kMi);
    CHECK(quota.files_limit == 5);
    CHECK(quota.bytes_used == kMi);
    CHECK(quota.files_used == 4);
    CHECK(create(session, "/d/3") == 0);
    CHECK(create(session, "/d/4") == -EDQUOT);
    const auto data = pattern(kMi, 1);
    benchfs_file_t* file = session.open("/d/f", O_RDWR, kChunk);
    for (std::uint64_t at = 0; at < kMi; at += kPiece) {
      CHECK(benchfs_pwrite(file, data.data(), kPiece, 10 * kMi + at) == kPiece);
    }
    CHECK(benchfs_pwrite(file, data.data(), kPiece, 20 * kMi) == -EDQUOT);
    CHECK(benchfs_close(file) == 0);
    CHECK(quota_of(session, "/d").bytes_used == 2 * kMi);
  }

  TEST_CASE("quota: counts are right after any work, and fsck sets wrong ones right") {
    Cluster cluster(2);
    QuotaId id = 0;
    std::uint64_t files = 0;
    {
      Session session(cluster);
      for (const char* path : {"/a", "/b"}) REQUIRE(benchfs_mkdir(session, path, 0755) == 0);
      set_quota(session, "/a", 0, 30);
      set_quota(session, "/b", 0, 12);
      id = static_cast<QuotaId>(quota_of(session, "/a").id);
      std::mt19937_64 random(7);
      const auto path = [&] {
        return (random() % 3 == 0 ? "/b/" : "/a/") + std::to_string(random() % 24);
      };
      for (int i = 0; i < 400; ++i) {
        const std::string one = path(), other = path();
        switch (random() % 7) {
          case 0:
            benchfs_mkdir(session, one.c_str(), 0755);
            break;
          case 1:
            benchfs_symlink(session, "x", one.c_str());
            break;
          case 2:
            benchfs_link(session, one.c_str(), other.c_str());
            break;
          case 3:
            benchfs_rename(session, one.c_str(), other.c_str(), 0);
            break;
          case 4:
            if (benchfs_unlink(session, one.c_str()) != 0) benchfs_rmdir(session, one.c_str());
            break;
          default:
            create(session, one);
        }
      }
      files = quota_of(session, "/a").files_used;
      CHECK(files > 0);
      CHECK(files <= 30);
      struct benchfs_fsck_result result {};
      REQUIRE(benchfs_fsck(session, 0, nullptr, nullptr, &result) == 0);
      CHECK(result.findings == 0);
    }
    cluster.stop();
    {
      auto loop = *Loop::create({});
      const Loop::Scope scope(*loop);
      Offload offload(*loop);
      auto store = *MetaStore::open({.directory = cluster.data_dir(1) + "/meta"}, *loop, offload);
      store->set_quota_files(id, store->quota_files(id) + 5);
      CHECK(loop->run(store->close()).has_value());
    }
    cluster.start();
    Session session(cluster);
    CHECK(quota_of(session, "/a").files_used == files + 5);
    std::string text;
    const auto add = [](const struct benchfs_fsck_finding* from, void* into) {
      *static_cast<std::string*>(into) +=
          std::string(from->word) + ": " + from->text + ": " + from->outcome;
    };
    struct benchfs_fsck_result result {};
    REQUIRE(benchfs_fsck(session, BENCHFS_FSCK_REPAIR, add, &text, &result) == 0);
    CHECK(result.findings == 1);
    CHECK(result.corrected == 1);
    CHECK_MESSAGE(text.starts_with("wrong-quota: quota " + std::to_string(id) + ": "), text);
    CHECK_MESSAGE(text.ends_with(": set right"), text);
    CHECK(quota_of(session, "/a").files_used == files);
    REQUIRE(benchfs_fsck(session, 0, nullptr, nullptr, &result) == 0);
    CHECK(result.findings == 0);
  }

  TEST_CASE("quota: many at once never exceed it, and can use all of it") {
    constexpr std::uint64_t kBytes = 12 * kMi, kFiles = 60;
    // What the file system may need to find pieces that do not follow each other.
    constexpr std::uint64_t kSlack = kMi / 4;
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    set_quota(session, "/d", kBytes, kFiles);
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> made{0}, written{0};
    std::atomic<int> wrong{0}, running{4};
    // Each has its own file before anybody uses the quota up.
    std::latch opened{4};
    std::vector<std::thread> users;
    for (int id = 0; id < 4; ++id) {
      users.emplace_back([&, id] {
        benchfs_t* fs = nullptr;
        benchfs_file_t* file = nullptr;
        const std::string mine = "/d/" + std::to_string(id);
        const bool ready =
            benchfs_connect(cluster.registry().c_str(), &fs) == 0 &&
            benchfs_open(fs, mine.c_str(), O_RDWR | O_CREAT, 0644, kChunk, &file) == 0;
        opened.arrive_and_wait();
        if (!ready) {
          ++wrong;
          --running;
          return;
        }
        ++made;
        const auto data = pattern(kPiece, 1);
        int refused_files = 0, refused_bytes = 0;
        for (std::uint64_t i = 0; refused_files < 3 || refused_bytes < 3; ++i) {
          const int created = create(fs, mine + "-" + std::to_string(i));
          if (created == 0) ++made;
          if (created == -EDQUOT) ++refused_files;
          if (created != 0 && created != -EDQUOT) ++wrong;
          const std::int64_t done = benchfs_pwrite(file, data.data(), kPiece, i * kPiece);
          if (done == kPiece) written += kPiece;
          if (done == -EDQUOT) ++refused_bytes;
          if (done != kPiece && done != -EDQUOT) ++wrong;
        }
        if (benchfs_close(file) != 0 || benchfs_disconnect(fs) != 0) ++wrong;
        --running;
      });
    }
    while (running > 0) {
      const Quota now = quota_of(session, "/d");
      if (now.bytes_used > kBytes + kSlack || now.files_used > kFiles) over = true;
    }
    for (std::thread& user : users) user.join();
    CHECK(wrong == 0);
    CHECK_FALSE(over);
    CHECK(made == kFiles);
    CHECK(written <= kBytes);
    CHECK(written >= kBytes - kSlack);
    CHECK(quota_of(session, "/d").bytes_used <= kBytes + kSlack);
    CHECK(quota_of(session, "/d").files_used == kFiles);
    struct benchfs_fsck_result result {};
    const auto ignore = [](const struct benchfs_fsck_finding*, void*) {};
    REQUIRE(benchfs_fsck(session, 0, ignore, nullptr, &result) == 0);
    CHECK(result.findings == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
