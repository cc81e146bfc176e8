// Directories, symbolic links and attributes through real servers.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

void make_file(Session& session, const std::string& path) {
  CHECK(benchfs_close(session.open(path, O_RDWR | O_CREAT | O_EXCL)) == 0);
}

/// Names of a directory, each of which must come once.
std::map<std::string, benchfs_dirent> list(Session& session, const char* path, int flags = 0) {
  std::map<std::string, benchfs_dirent> entries;
  benchfs_dir_t* directory = nullptr;
  REQUIRE_MESSAGE(benchfs_opendir(session, path, flags, &directory) == 0, benchfs_error());
  benchfs_dirent entry;
  int got = 0;
  while ((got = benchfs_readdir(directory, &entry)) == 1) {
    CHECK(entries.emplace(entry.name, entry).second);
  }
  CHECK_MESSAGE(got == 0, benchfs_error());
  CHECK(benchfs_closedir(directory) == 0);
  return entries;
}

std::string read_link(Session& session, const char* path) {
  char target[4096];
  const std::int64_t bytes = benchfs_readlink(session, path, target, sizeof(target));
  REQUIRE(bytes > 0);
  return {target, static_cast<std::size_t>(bytes)};
}

TEST_SUITE("directories") {
  TEST_CASE("list: the entries of all servers, with what they are") {
    Cluster cluster(3);
    Session session(cluster);
    CHECK(list(session, "/").empty());
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    CHECK(list(session, "/d").empty());
    std::set<std::string> names;
    for (int i = 0; i < 1000; ++i) {
      names.insert("f" + std::to_string(i));
      make_file(session, "/d/f" + std::to_string(i));
    }
    REQUIRE(benchfs_mkdir(session, "/d/sub", 0700) == 0);
    REQUIRE(benchfs_symlink(session, "sub", "/d/link") == 0);
    benchfs_file_t* file = session.open("/d/f7", O_RDWR);
    REQUIRE(benchfs_pwrite(file, "abc", 3, 0) == 3);
    const auto plain = list(session, "/d");
    const auto full = list(session, "/d/", BENCHFS_DIR_STAT);
    CHECK(benchfs_close(file) == 0);
    CHECK(plain.size() == 1002);
    CHECK(full.size() == 1002);
    for (const std::string& name : names) CHECK(plain.contains(name));
    CHECK(plain.at("f7").has_stat == 0);
    CHECK(plain.at("f7").type == S_IFREG);
    CHECK(full.at("f7").has_stat == 1);
    CHECK(full.at("f7").stat.size == 3);  // what this session has not told anybody yet, too
    CHECK(full.at("sub").type == S_IFDIR);
    CHECK((full.at("sub").stat.mode & 07777) == 0700);
    CHECK(full.at("link").type == S_IFLNK);
    CHECK(full.at("link").stat.size == 3);
    CHECK(full.at("f9").inode == session.stat("/d/f9").inode);
    CHECK(list(session, "/").size() == 1);
    CHECK(list(session, "/d/link").empty());
    benchfs_dir_t* directory = nullptr;
    CHECK(benchfs_opendir(session, "/d/f1", 0, &directory) == -ENOTDIR);
    CHECK(benchfs_opendir(session, "/no", 0, &directory) == -ENOENT);
    CHECK(benchfs_opendir(session, "/d", 4, &directory) == -EINVAL);
  }

  TEST_CASE("list: what exists all the while comes once, whatever comes and goes") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    for (int i = 0; i < 2000; i += 2) make_file(session, "/d/f" + std::to_string(i));
    std::atomic<bool> stop{false};
    std::thread other([&] {
      Session mine(cluster);
      for (int round = 0; !stop; ++round) {
        const std::string path = "/d/f" + std::to_string(2 * (round * 37 % 1000) + 1);
        make_file(mine, path);
        CHECK(benchfs_unlink(mine, path.c_str()) == 0);
      }
    });
    for (int round = 0; round < 10; ++round) {
      const auto entries = list(session, "/d", round % 2 == 0 ? 0 : BENCHFS_DIR_STAT);
      std::size_t kept = 0;
      for (const auto& [name, entry] : entries) kept += std::stoi(name.substr(1)) % 2 == 0;
      CHECK(kept == 1000);
    }
    stop = true;
    other.join();
  }

  TEST_CASE("list: a session with an open directory is not disconnected") {
    Cluster cluster(1);
    benchfs_t* fs = nullptr;
    REQUIRE(benchfs_connect(cluster.registry().c_str(), &fs) == 0);
    benchfs_dir_t* directory = nullptr;
    REQUIRE(benchfs_opendir(fs, "/", 0, &directory) == 0);
    CHECK(benchfs_disconnect(fs) == -EBUSY);
    CHECK(benchfs_closedir(directory) == 0);
    CHECK(benchfs_disconnect(fs) == 0);
  }

  TEST_CASE("rmdir: only an empty directory goes, wherever its entries are") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    for (int i = 0; i < 12; ++i) {
      const std::string path = "/d/f" + std::to_string(i);
      make_file(session, path);
      CHECK(benchfs_rmdir(session, "/d") == -ENOTEMPTY);
      CHECK(benchfs_rmdir(session, path.c_str()) == -ENOTDIR);
      CHECK(benchfs_unlink(session, path.c_str()) == 0);
    }
    REQUIRE(benchfs_mkdir(session, "/d/e", 0755) == 0);
    CHECK(benchfs_rmdir(session, "/d") == -ENOTEMPTY);
    CHECK(benchfs_rmdir(session, "/d/e/..") == -ENOTEMPTY);
    CHECK(benchfs_rmdir(session, "/d/e") == 0);
    CHECK(benchfs_rmdir(session, "/d") == 0);
    CHECK(benchfs_rmdir(session, "/d") == -ENOENT);
    CHECK(benchfs_rmdir(session, "/") == -EBUSY);
    CHECK(benchfs_rmdir(session, "/d/..") == -ENOENT);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    make_file(session, "/d/again");
    CHECK(list(session, "/d").size() == 1);
  }

  TEST_CASE("rmdir: against creates, either the entry or the removal succeeds") {
    Cluster cluster(3);
    Session session(cluster);
    Session others[] = {Session(cluster), Session(cluster), Session(cluster)};
    int removed = 0;
    for (int round = 0; round < 60; ++round) {
      const std::string path = "/d" + std::to_string(round);
      REQUIRE(benchfs_mkdir(session, path.c_str(), 0755) == 0);
      std::atomic<int> made{0};
      std::atomic<bool> begun{false};
      std::vector<std::thread> makers;
      for (int i = 0; i < 3; ++i) {
        makers.emplace_back([&, i] {
          while (!begun) std::this_thread::yield();
          benchfs_file_t* file = nullptr;
          const std::string name = path + "/f" + std::to_string(i);
          const int error = benchfs_open(others[i], name.c_str(), O_RDWR | O_CREAT, 0644, 0, &file);
          CHECK((error == 0 || error == -ENOENT));
          if (error != 0) return;
          ++made;
          CHECK(benchfs_close(file) == 0);
        });
      }
      begun = true;
      std::this_thread::sleep_for(std::chrono::microseconds(round * 20));
      const int error = benchfs_rmdir(session, path.c_str());
      for (auto& maker : makers) maker.join();
      if (error == 0) {
        ++removed;
        CHECK(made == 0);
      } else {
        CHECK(error == -ENOTEMPTY);
        CHECK(made > 0);
        CHECK(list(session, path.c_str()).size() == static_cast<std::size_t>(made.load()));
      }
    }
    MESSAGE(removed << " of 60 removals came before the first create");
  }

  TEST_CASE("rmdir: of many sessions that remove one directory, one succeeds") {
    Cluster cluster(2);
    Session session(cluster);
    for (int round = 0; round < 10; ++round) {
      REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
      std::atomic<int> gone{0};
      std::vector<std::thread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
          Session mine(cluster);
          const int error = benchfs_rmdir(mine, "/d");
          CHECK((error == 0 || error == -ENOENT));
          if (error == 0) ++gone;
        });
      }
      for (auto& thread : threads) thread.join();
      CHECK(gone == 1);
    }
  }

  TEST_CASE("restart: a removed directory stays away, and the others take entries") {
    Cluster cluster(3);
    {
      Session session(cluster);
      REQUIRE(benchfs_mkdir(session, "/gone", 0755) == 0);
      REQUIRE(benchfs_mkdir(session, "/kept", 0755) == 0);
      make_file(session, "/kept/f");
      CHECK(benchfs_rmdir(session, "/gone") == 0);
      CHECK(benchfs_rmdir(session, "/kept") == -ENOTEMPTY);
      REQUIRE(benchfs_symlink(session, "kept/f", "/link") == 0);
      REQUIRE(benchfs_chmod(session, "/kept/f", 0604) == 0);
    }
    cluster.stop();
    cluster.start();
    Session session(cluster);
    CHECK(list(session, "/").size() == 2);
    make_file(session, "/kept/g");
    CHECK((session.stat("/link").mode & 07777) == 0604);
  }
}

TEST_SUITE("links") {
  TEST_CASE("links: followed on the way and at the end, relative and absolute, with two dots") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/a", 0755) == 0);
    REQUIRE(benchfs_mkdir(session, "/a/b", 0755) == 0);
    REQUIRE(benchfs_mkdir(session, "/a/b/c", 0755) == 0);
    REQUIRE(benchfs_symlink(session, "a/b/c", "/deep") == 0);
    REQUIRE(benchfs_symlink(session, "/a/./b/", "/a/b/c/up") == 0);
    REQUIRE(benchfs_symlink(session, "../f", "/a/b/c/file") == 0);
    CHECK(benchfs_symlink(session, "x", "/deep") == -EEXIST);
    CHECK(read_link(session, "/deep") == "a/b/c");
    CHECK(read_link(session, "/a/b/c/up") == "/a/./b/");
    // ".." is that of the target: not "/" but "/a/b".
    make_file(session, "/deep/../f");
    const auto inode = session.stat("/a/b/f").inode;
    CHECK(session.stat("/deep/file").inode == inode);
    CHECK(session.stat("/deep/up/../b/c/up/f").inode == inode);
    CHECK(session.stat("/deep/up/..").inode == session.stat("/a").inode);
    CHECK(session.stat("/../../a/b/..").inode == session.stat("/a").inode);
    struct benchfs_stat st {};
    REQUIRE(benchfs_lstat(session, "/deep", &st) == 0);
    CHECK(S_ISLNK(st.mode));
    CHECK(st.size == 5);
    CHECK(benchfs_stat(session, "/a/b/f/../f", &st) == -ENOTDIR);
    CHECK(benchfs_stat(session, "/no/../a", &st) == -ENOENT);
    char few[2];
    CHECK(benchfs_readlink(session, "/deep", few, sizeof(few)) == 2);
    CHECK(benchfs_readlink(session, "/a/b/f", few, sizeof(few)) == -EINVAL);
    CHECK(benchfs_readlink(session, "/a", few, sizeof(few)) == -EINVAL);
    CHECK(benchfs_readlink(session, "/", few, sizeof(few)) == -EINVAL);
    CHECK(benchfs_readlink(session, "/no", few, sizeof(few)) == -ENOENT);
    // What is done to a name is done to the link.
    CHECK(benchfs_rmdir(session, "/deep") == -ENOTDIR);
    CHECK(benchfs_mkdir(session, "/deep", 0755) == -EEXIST);
    CHECK(benchfs_unlink(session, "/deep") == 0);
    CHECK(session.stat("/a/b/c").inode != 0);
    CHECK(benchfs_unlink(session, "/") == -EISDIR);
    CHECK(benchfs_mkdir(session, "/a/..", 0755) == -EEXIST);
  }

  TEST_CASE("links: opening one opens, creates or truncates what it leads to") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_symlink(session, "f", "/link") == 0);
    benchfs_file_t* file = nullptr;
    CHECK(benchfs_open(session, "/link", O_RDWR, 0644, 0, &file) == -ENOENT);
    CHECK(benchfs_open(session, "/link", O_RDWR | O_CREAT | O_EXCL, 0644, 0, &file) == -EEXIST);
    file = session.open("/link", O_RDWR | O_CREAT);
    REQUIRE(benchfs_pwrite(file, "abc", 3, 0) == 3);
    CHECK(benchfs_close(file) == 0);
    CHECK(session.stat("/f").size == 3);
    CHECK(benchfs_truncate(session, "/link", 1) == 0);
    CHECK(session.stat("/f").size == 1);
    CHECK(benchfs_close(session.open("/link", O_RDWR | O_TRUNC)) == 0);
    CHECK(session.stat("/f").size == 0);
    REQUIRE(benchfs_symlink(session, "/", "/root") == 0);
    CHECK(benchfs_open(session, "/root", O_RDONLY, 0, 0, &file) == -EISDIR);
    CHECK(benchfs_open(session, "/f/link", O_RDONLY, 0, 0, &file) == -ENOTDIR);
  }

  TEST_CASE("links: loops end with ELOOP, forty in a row do not") {
    Cluster cluster(2);
    Session session(cluster);
    struct benchfs_stat st {};
    REQUIRE(benchfs_symlink(session, "b", "/a") == 0);
    REQUIRE(benchfs_symlink(session, "a", "/b") == 0);
    CHECK(benchfs_stat(session, "/a", &st) == -ELOOP);
    CHECK(benchfs_stat(session, "/a/x", &st) == -ELOOP);
    benchfs_file_t* file = nullptr;
    CHECK(benchfs_open(session, "/a", O_RDWR | O_CREAT, 0644, 0, &file) == -ELOOP);
    CHECK(benchfs_lstat(session, "/a", &st) == 0);
    make_file(session, "/l0");
    for (int i = 1; i <= 41; ++i) {
      const std::string to = "l" + std::to_string(i - 1);
      REQUIRE(benchfs_symlink(session, to.c_str(), ("/l" + std::to_string(i)).c_str()) == 0);
    }
    CHECK(benchfs_stat(session, "/l40", &st) == 0);
    CHECK(benchfs_stat(session, "/l41", &st) == -ELOOP);
    CHECK(benchfs_symlink(session, "", "/e") == -ENOENT);
    CHECK(benchfs_symlink(session, std::string(3841, 'x').c_str(), "/e") == -ENAMETOOLONG);
    REQUIRE(benchfs_symlink(session, std::string(300, 'x').c_str(), "/e") == 0);
    CHECK(benchfs_stat(session, "/e", &st) == -ENAMETOOLONG);
  }
}

TEST_SUITE("attributes") {
  TEST_CASE("attributes: mode, owner and times are kept, of files, directories and links") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    make_file(session, "/d/f");
    REQUIRE(benchfs_symlink(session, "d/f", "/link") == 0);
    const auto before = session.stat("/d/f");
    CHECK(benchfs_chmod(session, "/link", 0640) == 0);
    CHECK(benchfs_chmod(session, "/d", 01777) == 0);
    CHECK(benchfs_chmod(session, "/", 0700) == 0);
    CHECK((other.stat("/d/f").mode & 07777) == 0640);
    CHECK((other.stat("/d").mode & 07777) == 01777);
    CHECK((other.stat("/").mode & 07777) == 0700);
    CHECK(other.stat("/d/f").ctime_ns > before.ctime_ns);
    CHECK(other.stat("/d/f").mtime_ns == before.mtime_ns);
    CHECK(benchfs_utimens(session, "/d/f", 1'000'000'001, BENCHFS_TIME_OMIT, 0) == 0);
    CHECK(other.stat("/d/f").atime_ns == 1'000'000'001);
    CHECK(other.stat("/d/f").mtime_ns == before.mtime_ns);
    CHECK(benchfs_utimens(session, "/d/f", BENCHFS_TIME_OMIT, BENCHFS_TIME_NOW, 0) == 0);
    CHECK(other.stat("/d/f").mtime_ns > before.mtime_ns);
    CHECK(benchfs_utimens(session, "/link", 3, 4, BENCHFS_NOFOLLOW) == 0);
    struct benchfs_stat st {};
    REQUIRE(benchfs_lstat(other, "/link", &st) == 0);
    CHECK(st.atime_ns == 3);
    CHECK(st.mtime_ns == 4);
    CHECK(other.stat("/link").atime_ns == 1'000'000'001);
    CHECK(benchfs_chown(session, "/d/f", UINT32_MAX, UINT32_MAX, 0) == 0);
    CHECK(benchfs_chown(session, "/d/f", geteuid(), getegid(), 0) == 0);
    if (geteuid() != 0) CHECK(benchfs_chown(session, "/d/f", geteuid() + 1, 0, 0) == -EPERM);
    CHECK(benchfs_chmod(session, "/no", 0600) == -ENOENT);
    CHECK(benchfs_utimens(session, "/d/f", 0, 0, 8) == -EINVAL);
  }

  TEST_CASE("attributes: times that are set outlast the session's earlier writes") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
    REQUIRE(benchfs_pwrite(file, "abc", 3, 0) == 3);
    CHECK(benchfs_utimens(session, "/f", 7, 8, 0) == 0);
    CHECK(benchfs_close(file) == 0);
    CHECK(session.stat("/f").mtime_ns == 8);
    CHECK(session.stat("/f").size == 3);
  }
}

}  // namespace
}  // namespace benchfs::test
