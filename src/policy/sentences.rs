//! The sentences of denials, in the languages that a policy can speak.
//!
//! Codes, ids of rules and names of fields are the same in each. A rule's own `because` is told as it was written. Records
//! stay English: programs read a log, and strangers who check it, long after the policy that chose a language is gone.

use super::decision::{Denial, DenialCode};
use super::model::Language;

/// Why, and what would help.
type Said = (&'static str, &'static str);

/// Every code with its sentences in English, French and Russian. What is in braces is a value of the call.
const TABLE: [(DenialCode, [Said; 3]); 18] = [
    (
        DenialCode::UnknownCaller,
        [
            ("the policy does not know this caller", "ask whoever keeps the policy to list it under `callers`"),
            ("la politique ne connaît pas cet appelant", "demandez à qui tient la politique de l’inscrire sous `callers`"),
            ("политика не знает этого вызывающего", "попросите того, кто ведёт политику, внести его в `callers`"),
        ],
    ),
    (
        DenialCode::UnknownTool,
        [
            ("there is no such tool", "list the tools to see what there is"),
            ("cet outil n’existe pas", "demandez la liste des outils pour voir ceux qui existent"),
            ("такого инструмента нет", "запросите список инструментов, чтобы увидеть, какие есть"),
        ],
    ),
    (
        DenialCode::Forbidden,
        [("{because}", "this is for a person to do"), ("{because}", "c’est à une personne de le faire"), ("{because}", "это должен сделать человек")],
    ),
    (
        DenialCode::SystemNotListed,
        [
            ("the policy does not list the system `{system}`", "ask whoever keeps the policy to list it under `systems`"),
            ("la politique ne cite pas le système `{system}`", "demandez à qui tient la politique de l’inscrire sous `systems`"),
            ("система `{system}` не указана в политике", "попросите того, кто ведёт политику, внести её в `systems`"),
        ],
    ),
    (
        DenialCode::SystemBlocked,
        [
            ("the system `{system}` is blocked", "nothing of this system runs at present"),
            ("le système `{system}` est bloqué", "rien de ce système ne s’exécute pour le moment"),
            ("система `{system}` заблокирована", "сейчас в этой системе ничего не выполняется"),
        ],
    ),
    (
        DenialCode::Unnormalisable,
        [
            ("the {kind} of this call has no spelling that rules can match", "write it without `..`, `%`, backslashes and control characters"),
            (
                "la valeur `{kind}` de cet appel ne s’écrit pas sous une forme que les règles puissent comparer",
                "écrivez-la sans `..`, `%`, barres obliques inverses ni caractères de contrôle",
            ),
            (
                "значение `{kind}` этого вызова нельзя записать так, чтобы правила могли его сравнить",
                "напишите его без `..`, `%`, обратных косых черт и управляющих символов",
            ),
        ],
    ),
    (
        DenialCode::RuleDenied,
        [
            ("a rule of the policy denies it", "no approval changes this; choose another target"),
            ("une règle de la politique l’interdit", "aucune approbation n’y change rien ; choisissez une autre cible"),
            ("это запрещено правилом политики", "никакое одобрение этого не изменит; выберите другую цель"),
        ],
    ),
    (
        DenialCode::RepositoryDenied,
        [
            ("the policy's settings for this repository deny it", "choose another target in it"),
            ("les réglages de la politique pour ce dépôt l’interdisent", "choisissez une autre cible dans ce dépôt"),
            ("это запрещено настройками политики для этого репозитория", "выберите в нём другую цель"),
        ],
    ),
    (
        DenialCode::NamespaceDenied,
        [
            ("the policy has this namespace as `{tier}`", "choose another namespace"),
            ("la politique classe cet espace de noms comme `{tier}`", "choisissez un autre espace de noms"),
            ("в политике у этого пространства имён уровень `{tier}`", "выберите другое пространство имён"),
        ],
    ),
    (
        DenialCode::NotListed,
        [
            ("this {kind} is not on the policy's list for `{system}`", "ask whoever keeps the policy"),
            ("cette valeur `{kind}` n’est pas sur la liste de la politique pour `{system}`", "demandez à qui tient la politique"),
            ("этого значения `{kind}` нет в списке политики для `{system}`", "обратитесь к тому, кто ведёт политику"),
        ],
    ),
    (
        DenialCode::AutomationOff,
        [
            ("automation is off", "a client can ask for it"),
            ("l’automatisation est désactivée", "un client peut le demander"),
            ("автоматизация выключена", "об этом может попросить клиент"),
        ],
    ),
    (
        DenialCode::WriteOff,
        [
            ("write mode is off", "nothing is written while it is off"),
            ("le mode écriture est désactivé", "rien n’est écrit tant qu’il l’est"),
            ("режим записи выключен", "пока он выключен, ничего не записывается"),
        ],
    ),
    (
        DenialCode::SystemReadOnly,
        [
            ("the system `{system}` is in mode `{mode}`, which does not write", "only reading is possible here"),
            ("le système `{system}` est en mode `{mode}`, qui n’écrit pas", "seule la lecture est possible ici"),
            ("система `{system}` в режиме `{mode}`, который не допускает записи", "здесь можно только читать"),
        ],
    ),
    (
        DenialCode::SameUser,
        [
            (
                "the gateway runs as your own user, who could change policy and log; it writes to no real system for you",
                "run the gateway under its own user (`opsgate setup`)",
            ),
            (
                "la passerelle s’exécute sous votre propre compte, qui pourrait modifier la politique et le journal ; elle n’écrit pour vous dans aucun système réel",
                "exécutez la passerelle sous son propre compte (`opsgate setup`)",
            ),
            (
                "шлюз работает под вашей же учётной записью, которая могла бы изменить политику и журнал; в настоящие системы он за вас не пишет",
                "запустите шлюз под отдельной учётной записью (`opsgate setup`)",
            ),
        ],
    ),
    (
        DenialCode::NotWhitelisted,
        [
            ("the target of this write is not on the list of what may be written to", "ask whoever keeps the policy"),
            ("la cible de cette écriture n’est pas sur la liste de ce qui peut être modifié", "demandez à qui tient la politique"),
            ("цели этой записи нет в списке того, что можно изменять", "обратитесь к тому, кто ведёт политику"),
        ],
    ),
    (
        DenialCode::OutsideHours,
        [
            ("writes to `{environment}` are for {hours}", "try again within these hours"),
            ("les écritures dans `{environment}` se font aux heures suivantes : {hours}", "réessayez pendant ces heures"),
            ("запись в `{environment}` разрешена только в эти часы: {hours}", "повторите в эти часы"),
        ],
    ),
    (
        DenialCode::ChangeIncomplete,
        [
            ("a write to `{environment}` needs more of `change`: {missing}", "give {missing}; a few letters are not enough"),
            ("une écriture dans `{environment}` demande davantage de `change` : {missing}", "donnez {missing} ; quelques lettres ne suffisent pas"),
            ("для записи в `{environment}` в `change` не хватает: {missing}", "укажите {missing}; нескольких букв недостаточно"),
        ],
    ),
    (
        DenialCode::DefaultDeny,
        [
            ("no rule allows it", "ask whoever keeps the policy for a rule"),
            ("aucune règle ne l’autorise", "demandez une règle à qui tient la politique"),
            ("ни одно правило этого не разрешает", "попросите правило у того, кто ведёт политику"),
        ],
    ),
];

/// Why what opsgate never does is never done, in English, French and Russian.
const NEVER: [[&str; 3]; 6] = [
    [
        "history that others rely on is never rewritten by an agent",
        "un agent ne réécrit jamais un historique sur lequel d’autres s’appuient",
        "агент никогда не переписывает историю, на которую опираются другие",
    ],
    ["a branch is deleted by a person", "une branche est supprimée par une personne", "ветку удаляет человек"],
    ["a merge is a person's decision", "une fusion est la décision d’une personne", "решение о слиянии принимает человек"],
    [
        "a deployment belongs to the pipeline that reviews it",
        "un déploiement revient au pipeline qui le contrôle",
        "развёртывание — дело конвейера, который его проверяет",
    ],
    [
        "data is deleted by a person with a backup at hand",
        "les données sont supprimées par une personne qui a une sauvegarde sous la main",
        "данные удаляет человек, у которого под рукой есть резервная копия",
    ],
    [
        "a secret's value is never set through a model; rotate it at its provider",
        "la valeur d’un secret n’est jamais fixée par un modèle ; renouvelez-le chez son fournisseur",
        "значение секрета никогда не задаётся через модель; смените его у поставщика",
    ],
];

/// How a refusal begins where a rule or a setting decided, and where none did.
const REFUSED: [Said; 3] = [
    ("refused by rule `{rule}`: {because}", "refused: {because}"),
    ("refusé par la règle `{rule}` : {because}", "refusé : {because}"),
    ("отклонено правилом `{rule}`: {because}", "отклонено: {because}"),
];

/// A value that a sentence names.
pub(super) type Named = (&'static str, String);

impl Denial {
    /// A denial in English; `named` are the values that its sentences name.
    pub(super) fn new(code: DenialCode, named: impl Into<Vec<Named>>) -> Self {
        let named = named.into();
        let (because, hint) = said(code, Language::En, &named);
        Self { code, rule: None, because, hint, shadow: Vec::new(), told: Box::new(Told { named, ..Told::default() }) }
    }

    /// With a reason that a rule's writer gave, in place of opsgate's.
    pub(super) fn because_of(mut self, because: Option<&String>) -> Self {
        let Some(because) = because else { return self };
        self.because.clone_from(because);
        self.told.by_the_rule = true;
        self
    }

    /// The same in the policy's language. What it says in English is kept for the record.
    pub(super) fn in_language(mut self, language: Language) -> Self {
        if language == Language::En {
            return self;
        }
        if self.code == DenialCode::Forbidden {
            for (_, value) in &mut self.told.named {
                let row = NEVER.into_iter().find(|[english, ..]| *english == value.as_str());
                *value = row.map_or_else(|| value.clone(), |row| of(row, language).to_owned());
            }
        }
        let (because, hint) = said(self.code, language, &self.told.named);
        let because = if self.told.by_the_rule { self.because.clone() } else { because };
        self.told.english = Some(std::mem::replace(&mut self.because, because));
        self.told.language = language;
        self.hint = hint;
        self
    }

    /// The whole refusal: in English, as records keep it, and in the policy's language where that is another.
    #[must_use]
    pub fn sentences(&self) -> (String, Option<String>) {
        let whole = |language, because: &str| {
            let (by_rule, plain) = of(REFUSED, language);
            let rule = self.rule.clone().unwrap_or_default();
            fill(if self.rule.is_some() { by_rule } else { plain }, &[("rule", rule), ("because", because.to_owned())])
        };
        match &self.told.english {
            None => (whole(Language::En, &self.because), None),
            Some(english) => (whole(Language::En, english), Some(whole(self.told.language, &self.because))),
        }
    }
}

/// What a denial's sentences were made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    named: Vec<Named>,
    /// Whether `because` is the rule's own.
    by_the_rule: bool,
    language: Language,
    english: Option<String>,
}

fn said(code: DenialCode, language: Language, named: &[Named]) -> (String, String) {
    let row = TABLE.into_iter().find(|(one, _)| *one == code).map(|(_, row)| row);
    row.map(|row| of(row, language)).map(|(because, hint)| (fill(because, named), fill(hint, named))).unwrap_or_default()
}

fn of<T>([english, french, russian]: [T; 3], language: Language) -> T {
    match language {
        Language::En => english,
        Language::Fr => french,
        Language::Ru => russian,
    }
}

/// Puts values in for their names, once: braces in a value stay.
fn fill(template: &str, named: &[Named]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        filled += before;
        filled += named.iter().find(|(one, _)| *one == name).map_or("", |(_, value)| value);
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use opsgate_tools::registry::FORBIDDEN;

    use super::*;

    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_code_has_every_language_and_the_same_names() {
        assert_eq!(TABLE.len(), DenialCode::DefaultDeny as usize + 1, "a code has no row");
        for (place, (code, [english, french, russian])) in TABLE.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code:?} stands twice or in another place");
            for (one, fr, ru) in [(english.0, french.0, russian.0), (english.1, french.1, russian.1)] {
                assert!(!one.is_empty() && names(one) == names(fr) && names(one) == names(ru), "{code:?}: {one}");
                assert!(one == "{because}" || (one != fr && ru.chars().any(|c| ('а'..='я').contains(&c))), "{code:?}: {fr} {ru}");
                // What is in backticks is a name and stays.
                let kept =
                    |text: &str| text.split('`').skip(1).step_by(2).filter(|name| !name.contains('{')).map(str::to_owned).collect::<BTreeSet<_>>();
                assert!(kept(one) == kept(fr) && kept(one) == kept(ru), "{code:?}: {one}");
            }
        }
    }

    #[test]
    fn what_never_happens_is_said_in_every_language() {
        for forbidden in FORBIDDEN {
            let denial = || Denial::new(DenialCode::Forbidden, [("because", forbidden.because.to_owned())]);
            assert_eq!(denial().because, forbidden.because);
            for language in [Language::Fr, Language::Ru] {
                let told = denial().in_language(language);
                assert!(told.because != forbidden.because && !told.because.is_empty(), "{}", forbidden.name);
                assert!(told.sentences().0.ends_with(forbidden.because), "the record is English");
            }
        }
    }

    #[test]
    fn a_value_is_put_in_once() {
        assert_eq!(fill("`{a}` and {b}", &[("a", "{b}".into()), ("b", "{a".into())]), "`{b}` and {a");
    }

    #[test]
    fn a_rules_own_reason_is_told_as_it_was_written() {
        let denial = Denial::new(DenialCode::RuleDenied, []).because_of(Some(&"it is {private}".to_owned())).by("a").in_language(Language::Fr);
        assert_eq!(denial.sentences(), ("refused by rule `a`: it is {private}".into(), Some("refusé par la règle `a` : it is {private}".into())));
        assert!(denial.hint.contains("choisissez"));
    }
}
