//! Git repositories made for a test.

use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Signature};

pub struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    /// One commit with these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self { dir: tempfile::Builder::new().prefix("ogrepo").tempdir_in("/tmp").unwrap() };
        git2::Repository::init(repository.path()).unwrap();
        repository.commit(files, "first");
        repository
    }

    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> String {
        for (path, content) in files {
            let path = self.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let git = git2::Repository::open(self.path()).unwrap();
        let mut index = git.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("Ana", "ana@example.invalid").unwrap();
        let parents: Vec<_> = git.head().ok().and_then(|h| h.peel_to_commit().ok()).into_iter().collect();
        git.commit(Some("HEAD"), &who, &who, message, &tree, &parents.iter().collect::<Vec<_>>()).unwrap().to_string()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn arg(&self) -> &str {
        self.path().to_str().unwrap()
    }

    pub fn outside(&self, name: &str) -> PathBuf {
        self.path().with_extension(name)
    }
}
