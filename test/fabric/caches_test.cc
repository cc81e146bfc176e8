// What a session remembers of the namespace, and that nobody is misled by it.
#include <fcntl.h>
#include <sys/stat.h>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

/// A setting of the sessions that are made while it lives.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

struct benchfs_cache_stats stats_of(benchfs_t* fs) {
  struct benchfs_cache_stats stats {};
  REQUIRE(benchfs_cache_stats(fs, &stats) == 0);
  return stats;
}
void make_file(Session& session, const std::string& path) {
  CHECK(benchfs_close(session.open(path, O_WRONLY | O_CREAT)) == 0);
}
int stat_code(benchfs_t* fs, const char* path) {
  struct benchfs_stat st {};
  return benchfs_stat(fs, path, &st);
}

TEST_SUITE("caches") {
  TEST_CASE("caches: a path leads through known directories without asking again") {
    const Setting ttl("BENCHFS_CACHE_TTL", "60s");
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/a", 0755) == 0);
    REQUIRE(benchfs_mkdir(session, "/a/b", 0755) == 0);
    const auto before = stats_of(session);
    for (int i = 0; i < 10; ++i) make_file(session, "/a/b/f" + std::to_string(i));
    const auto after = stats_of(session);
    CHECK(after.entry_hits - before.entry_hits == 20);
    CHECK(after.entry_misses == before.entry_misses);  // what it has made itself it knows
    CHECK(after.entries == 2);
    CHECK(after.attributes == 0);

    Session other(cluster);
    CHECK(other.stat("/a/b/f1").size == 0);
    CHECK(stats_of(other).entry_misses == 2);
    CHECK(other.stat("/a/b/f2").size == 0);
    CHECK(stats_of(other).entry_misses == 2);
    CHECK(stats_of(other).entry_hits == 2);
    REQUIRE(benchfs_cache_drop(other) == 0);
    CHECK(stats_of(other).entries == 0);
    CHECK(other.stat("/a/b/f3").size == 0);
    CHECK(stats_of(other).entry_misses == 4);
  }

  TEST_CASE("caches: with a time of 0 every name is asked for") {
    const Setting ttl("BENCHFS_CACHE_TTL", "0s");
    Cluster cluster(1);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/a", 0755) == 0);
    for (int i = 0; i < 3; ++i) make_file(session, "/a/f" + std::to_string(i));
    CHECK(stats_of(session).entry_hits == 0);
    CHECK(stats_of(session).entries == 0);
  }

  TEST_CASE("caches: a directory that others have removed misleads nobody") {
    const Setting ttl("BENCHFS_CACHE_TTL", "60s");
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    make_file(session, "/d/f");  // the directory is known
    REQUIRE(benchfs_unlink(session, "/d/f") == 0);

    // Another one in its place: what is made by the path is in that.
    REQUIRE(benchfs_rmdir(other, "/d") == 0);
    REQUIRE(benchfs_mkdir(other, "/d", 0755) == 0);
    for (int i = 0; i < 8; ++i) {  // entries on all servers
      const std::string name = "/d/new" + std::to_string(i);
      make_file(session, name);
      CHECK(stat_code(other, name.c_str()) == 0);
      REQUIRE(benchfs_unlink(other, name.c_str()) == 0);
    }
    REQUIRE(benchfs_mkdir(session, "/d/sub", 0755) == 0);
    CHECK(stat_code(other, "/d/sub") == 0);
    REQUIRE(benchfs_rmdir(other, "/d/sub") == 0);

    // What others have made in the second one is found.
    REQUIRE(benchfs_rmdir(other, "/d") == 0);
    REQUIRE(benchfs_mkdir(other, "/d", 0755) == 0);
    make_file(other, "/d/theirs");
    CHECK(stat_code(session, "/d/theirs") == 0);

    // A file in its place.
    REQUIRE(benchfs_unlink(other, "/d/theirs") == 0);
    REQUIRE(benchfs_rmdir(other, "/d") == 0);
    CHECK(stat_code(session, "/d/theirs") == -ENOENT);
    make_file(other, "/d");
    CHECK(stat_code(session, "/d/theirs") == -ENOTDIR);
    CHECK(benchfs_mkdir(session, "/d/sub", 0755) == -ENOTDIR);
    CHECK(stat_code(session, "/d") == 0);
  }

  TEST_CASE("caches: a link in the place of a directory is followed") {
    const Setting ttl("BENCHFS_CACHE_TTL", "60s");
    Cluster cluster(2);
    Session session(cluster);
    Session other(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    REQUIRE(benchfs_mkdir(session, "/e", 0755) == 0);
    make_file(session, "/e/f");
    CHECK(stat_code(session, "/d/f") == -ENOENT);
    REQUIRE(benchfs_rmdir(other, "/d") == 0);
    REQUIRE(benchfs_symlink(other, "e", "/d") == 0);
    CHECK(stat_code(session, "/d/f") == 0);
  }

  TEST_CASE("caches: its own changes a session sees at once") {
    const Setting ttl("BENCHFS_CACHE_TTL", "60s");
    const Setting attributes_ttl("BENCHFS_CACHE_ATTRIBUTES_TTL", "60s");
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    make_file(session, "/d/f");
    CHECK(session.stat("/d/f").size == 0);
    const auto before = stats_of(session);
    CHECK(session.stat("/d/f").size == 0);
    CHECK(stats_of(session).attribute_hits == before.attribute_hits + 1);

    REQUIRE(benchfs_truncate(session, "/d/f", 100) == 0);
    CHECK(session.stat("/d/f").size == 100);
    benchfs_file_t* file = session.open("/d/f", O_WRONLY);
    REQUIRE(benchfs_pwrite(file, "hello", 5, 200) == 5);
    CHECK(session.stat("/d/f").size == 205);
    REQUIRE(benchfs_pwrite(file, "hello", 5, 300) == 5);
    CHECK(session.stat("/d/f").size == 305);
    CHECK(benchfs_close(file) == 0);
    CHECK(session.stat("/d/f").size == 305);
    REQUIRE(benchfs_chmod(session, "/d/f", 0600) == 0);
    CHECK((session.stat("/d/f").mode & 0777) == 0600);
    CHECK(benchfs_close(session.open("/d/f", O_WRONLY | O_TRUNC)) == 0);
    CHECK(session.stat("/d/f").size == 0);
    REQUIRE(benchfs_unlink(session, "/d/f") == 0);
    CHECK(stat_code(session, "/d/f") == -ENOENT);
    REQUIRE(benchfs_symlink(session, "nowhere", "/d/f") == 0);
    CHECK(stat_code(session, "/d/f") == -ENOENT);
    REQUIRE(benchfs_unlink(session, "/d/f") == 0);
    CHECK(session.stat("/d").nlink == 2);
    REQUIRE(benchfs_rmdir(session, "/d") == 0);
    CHECK(stat_code(session, "/d") == -ENOENT);
    CHECK(stat_code(session, "/d/f") == -ENOENT);
  }

  TEST_CASE("caches: sizes are remembered only if asked for, and never for the end of a read") {
    Cluster cluster(2);
    Session writer(cluster);
    Session fresh(cluster);
    const Setting ttl("BENCHFS_CACHE_ATTRIBUTES_TTL", "60s");
    const Setting entries_ttl("BENCHFS_CACHE_TTL", "60s");
    Session session(cluster);
    make_file(writer, "/f");
    CHECK(fresh.stat("/f").size == 0);
    CHECK(session.stat("/f").size == 0);
    benchfs_file_t* file = writer.open("/f", O_WRONLY);
    REQUIRE(benchfs_pwrite(file, "hello", 5, 0) == 5);
    CHECK(benchfs_close(file) == 0);
    CHECK(fresh.stat("/f").size == 5);
    CHECK(stats_of(fresh).attribute_hits == 0);
    CHECK(session.stat("/f").size == 0);  // as it was last seen
    char back[16];
    file = session.open("/f", O_RDONLY);
    CHECK(benchfs_pread(file, back, sizeof(back), 0) == 5);
    CHECK(session.stat("/f").size == 5);  // it has it open
    CHECK(benchfs_close(file) == 0);
    REQUIRE(benchfs_cache_drop(session) == 0);
    CHECK(session.stat("/f").size == 5);
  }

  TEST_CASE("caches: what a listing has shown is known, within the bound") {
    const Setting ttl("BENCHFS_CACHE_TTL", "60s");
    const Setting attributes_ttl("BENCHFS_CACHE_ATTRIBUTES_TTL", "60s");
    const Setting bound("BENCHFS_CACHE_ENTRIES", "5");
    Cluster cluster(2);
    Session writer(cluster);
    Session session(cluster);
    for (int i = 0; i < 20; ++i) make_file(writer, "/f" + std::to_string(i));
    benchfs_dir_t* directory = nullptr;
    REQUIRE(benchfs_opendir(session, "/", BENCHFS_DIR_STAT, &directory) == 0);
    struct benchfs_dirent entry {};
    std::string last;
    int got;
    while ((got = benchfs_readdir(directory, &entry)) == 1) last = entry.name;
    CHECK(got == 0);
    CHECK(benchfs_closedir(directory) == 0);
    CHECK(stats_of(session).entries == 5);
    CHECK(stats_of(session).attributes == 5);
    CHECK(session.stat("/" + last).size == 0);
    CHECK(stats_of(session).attribute_hits == 1);
  }
}

}  // namespace
}  // namespace benchfs::test
