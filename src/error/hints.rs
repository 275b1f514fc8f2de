//! What a caller can do about each refusal, in the other languages of a policy. What is in backticks stays as it is.

use super::Code;
use crate::policy::Language;

/// Every code with its hint in French and in Russian.
const HINTS: [(Code, &str, &str); 24] = [
    (
        Code::Unauthenticated,
        "envoyez `Authorization: Bearer opsgate_…` ; `opsgate keys new` crée une clé",
        "отправьте `Authorization: Bearer opsgate_…`; ключ создаёт `opsgate keys new`",
    ),
    (Code::RateLimited, "attendez `retry_after_s` secondes", "подождите `retry_after_s` секунд"),
    (Code::Busy, "attendez la fin des appels en cours", "дождитесь завершения текущих вызовов"),
    (
        Code::BudgetExhausted,
        "attendez `retry_after_s` secondes : la journée se termine à minuit UTC",
        "подождите `retry_after_s` секунд: сутки заканчиваются в полночь по UTC",
    ),
    (
        Code::ToolUnavailable,
        "demandez la liste des outils ; `policy_whoami` dit ce que la politique sait de vous",
        "запросите список инструментов; `policy_whoami` покажет, что политика знает о вас",
    ),
    (Code::ToolForbidden, "demandez à une personne de le faire", "попросите человека сделать это"),
    (Code::InvalidArguments, "corrigez les arguments d’après le schéma d’entrée de l’outil", "исправьте аргументы по входной схеме инструмента"),
    (Code::OutOfBounds, "restez dans l’espace de travail", "оставайтесь в пределах рабочего каталога"),
    (
        Code::PolicyDenied,
        "`policy_explain` dit quelle règle a décidé et ce qu’il faudrait",
        "`policy_explain` покажет, какое правило решило и что потребуется",
    ),
    (
        Code::ApprovalsUnavailable,
        "cette version ne peut pas recueillir d’approbations ; demandez à une personne de le faire",
        "эта версия не умеет собирать одобрения; попросите человека сделать это",
    ),
    (
        Code::AuditUnavailable,
        "rien n’a été fait ; un opérateur doit examiner le journal d’audit",
        "ничего не сделано; оператор должен проверить журнал аудита",
    ),
    (Code::Sealed, "un opérateur doit en chercher la cause et lancer `opsgate unseal`", "оператор должен разобраться и выполнить `opsgate unseal`"),
    (
        Code::ExecutedAuditFailed,
        "l’appel a été exécuté, mais son résultat n’a pas pu être consigné ; un opérateur doit vérifier",
        "вызов выполнен, но его итог не удалось записать; нужна проверка оператора",
    ),
    (Code::NotFound, "vérifiez le nom", "проверьте имя"),
    (Code::Unavailable, "le message dit ce qui manque", "в сообщении сказано, чего не хватает"),
    (Code::Moved, "regardez de nouveau et répétez l’appel", "посмотрите ещё раз и повторите вызов"),
    (
        Code::HoldsSecret,
        "retirez-le ; un secret est mis en place par son propre système, jamais par un modèle",
        "уберите его; секрет задаёт его собственная система, а не модель",
    ),
    (Code::OutputTooLarge, "restreignez la demande ou parcourez-la page par page", "сузьте запрос или читайте по страницам"),
    (
        Code::ExposureWithheld,
        "demandez une partie sans le secret, et faites renouveler le secret",
        "запросите часть без секрета и попросите сменить секрет",
    ),
    (Code::TimedOut, "restreignez la demande", "сузьте запрос"),
    (Code::Cancelled, "répétez l’appel s’il est encore voulu", "повторите вызов, если он ещё нужен"),
    (Code::UpstreamFailed, "réessayez plus tard", "повторите позже"),
    (Code::ShuttingDown, "répétez l’appel ; la prochaine passerelle y répondra", "повторите вызов: на него ответит следующий шлюз"),
    (
        Code::Internal,
        "le journal de la passerelle contient le détail sous cet identifiant de requête",
        "подробности — в журнале шлюза под этим идентификатором запроса",
    ),
];

impl Code {
    /// What a caller can do about it, in this language.
    #[must_use]
    pub fn hint_in(self, language: Language) -> &'static str {
        let row = HINTS.iter().find(|row| row.0 == self);
        match (language, row) {
            (Language::Fr, Some(row)) => row.1,
            (Language::Ru, Some(row)) => row.2,
            _ => self.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in backticks, sorted.
    fn names(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_hint_is_in_every_language_and_names_the_same() {
        for ((code, _, english), (same, french, russian)) in Code::TABLE.into_iter().zip(HINTS) {
            assert_eq!(code, same, "the tables are in one order");
            for (language, hint) in [(Language::En, english), (Language::Fr, french), (Language::Ru, russian)] {
                assert_eq!(code.hint_in(language), hint);
                assert_eq!(names(hint), names(english), "{code} {language:?}");
            }
            assert!(french != english && russian.chars().any(|c| ('а'..='я').contains(&c)), "{code}");
        }
    }
}
